#include "protocols/xennet/sender.hpp"

#include "protocols/xennet/packet_info.hpp"

namespace ringside::xennet {

using xenvif::TxStatus;

NdisStatus status_of(TxStatus status) {
  switch (status) {
    case TxStatus::kSent: return NdisStatus::kSuccess;
    case TxStatus::kDroppedByPeer: return NdisStatus::kResources;
    case TxStatus::kRejectedByPeer: return NdisStatus::kFailure;
    case TxStatus::kDisconnected:
    case TxStatus::kPeerHoldsPages: return NdisStatus::kMediaDisconnected;
    case TxStatus::kTooLong:
    case TxStatus::kOverMtu:
    case TxStatus::kTooLongForPeer: return NdisStatus::kInvalidLength;
    case TxStatus::kBadFragment:
    case TxStatus::kBadGso:
    case TxStatus::kBadHeaders:
    case TxStatus::kNoChecksum: return NdisStatus::kInvalidPacket;
  }
  return NdisStatus::kFailure;
}

Status Sender::create_parts() {
  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  auto timer = platform_.create_timer(Delegate::to<&Sender::expired>(*this), cpu_);
  if (!timer) return timer.status();
  timer_ = *std::move(timer);
  auto slots = platform::Array<Outgoing>::create(platform_, kSlots);
  if (!slots) return slots.status();
  slots_ = *std::move(slots);
  return Status::kOk;
}

void Sender::send(NetBufferList* chain) {
  {
    platform::LockGuard guard(*lock_);
    while (chain != nullptr) {
      NetBufferList* list = chain;
      chain = chain->next;
      accept(list);
    }
    step();
  }
  deliver();
}

void Sender::accept(NetBufferList* list) {
  list->status = NdisStatus::kSuccess;
  list->unsent = list->first;
  list->parts = 1;
  list->counted = !draining_;
  if (list->counted) ++outstanding_;
  if (refusal_ == NdisStatus::kSuccess) return waiting_.push(list);
  abandon(*list, refusal_);
  part_done(*list);
}

void Sender::cancel(uintptr_t cancel_id) {
  {
    platform::LockGuard guard(*lock_);
    for (Chain rest = waiting_.take(); !rest.empty();) {
      NetBufferList* list = rest.pop();
      if (list->cancel_id != cancel_id) {
        waiting_.push(list);
        continue;
      }
      abandon(*list, NdisStatus::kSendAborted);
      part_done(*list);
    }
  }
  deliver();
}

void Sender::gate_changed() {
  {
    platform::LockGuard guard(*lock_);
    refusal_ = owner_.refusal();
    if (refusal_ != NdisStatus::kSuccess) abort_waiting(refusal_);
  }
  deliver();
}

void Sender::drain() {
  {
    platform::LockGuard guard(*lock_);
    draining_ = true;
  }
  deliver();
}

Traffic Sender::statistics() {
  platform::LockGuard guard(*lock_);
  return statistics_;
}

uint32_t Sender::outstanding() {
  platform::LockGuard guard(*lock_);
  return outstanding_;
}

/// Goes on sending here, or on the queue's CPU. With the lock.
void Sender::step() {
  if (waiting_.empty() || blocked_) return;
  if (platform_.cpu() == cpu_) return pump();
  timer_->start(platform_.now());
}

void Sender::expired() {
  {
    platform::LockGuard guard(*lock_);
    step();
  }
  deliver();
}

void Sender::pump() {
  pumping_ = true;
  while (!waiting_.empty()) {
    NetBufferList& list = *waiting_.head();
    if (list.unsent != nullptr && !transmit(list)) break;
    if (list.unsent != nullptr) continue;
    waiting_.pop();
    part_done(list);
  }
  port_.flush();
  pumping_ = false;
}

/// Sends the next packet of a list, or ends it; false when there is no room for it.
bool Sender::transmit(NetBufferList& list) {
  RINGSIDE_ASSERT(platform_, !free_slots_.empty());
  const uint16_t index = free_slots_.take();
  Outgoing& slot = slots_[index];
  slot.list = &list;
  xenvif::TxPacket packet;
  const NdisStatus built = slot.build(platform_, list, *list.unsent, packet);
  packet.cookie = index;
  Status status = Status::kInvalidArgument;
  // XENNET-005: counted first, for the packet may end before transmit() returns.
  ++list.parts;
  if (built == NdisStatus::kSuccess) status = port_.transmit(packet);
  if (status != Status::kOk) {
    slot.more = {};
    free_slots_.put(index);
    --list.parts;
  }
  if (status == Status::kNoResources) {
    blocked_ = true;
    return false;
  }
  if (status != Status::kOk) {
    if (list.status == NdisStatus::kSuccess) {
      list.status = status == Status::kClosed ? NdisStatus::kMediaDisconnected : built;
    }
    ++(status == Status::kClosed ? statistics_.discards : statistics_.errors);
  }
  list.unsent = list.unsent->next;
  return true;
}

/// What has not gone out of `list` never will.
void Sender::abandon(NetBufferList& list, NdisStatus why) {
  for (; list.unsent != nullptr; list.unsent = list.unsent->next) ++statistics_.discards;
  if (list.status == NdisStatus::kSuccess) list.status = why;
}

void Sender::abort_waiting(NdisStatus why) {
  blocked_ = false;
  for (Chain all = waiting_.take(); !all.empty();) {
    NetBufferList* list = all.pop();
    abandon(*list, why);
    part_done(*list);
  }
}

void Sender::transmitted(uint64_t cookie, TxStatus status) {
  Outgoing& slot = slots_[static_cast<size_t>(cookie)];
  if (pumping_) return ended(slot, status);
  platform::LockGuard guard(*lock_);
  ended(slot, status);
}

void Sender::ended(Outgoing& slot, TxStatus status) {
  RINGSIDE_ASSERT(platform_, slot.list != nullptr);
  NetBufferList& list = *slot.list;
  if (status == TxStatus::kSent) {
    statistics_.note(slot.cast, slot.length);
  } else {
    if (list.status == NdisStatus::kSuccess) list.status = status_of(status);
    const NdisStatus why = status_of(status);
    const bool lost = why == NdisStatus::kMediaDisconnected || why == NdisStatus::kResources;
    ++(lost ? statistics_.discards : statistics_.errors);
  }
  slot.list = nullptr;
  slot.more = {};
  free_slots_.put(static_cast<uint16_t>(&slot - slots_.begin()));
  part_done(list);
}

void Sender::part_done(NetBufferList& list) {
  if (--list.parts > 0) return;
  // XENNET-004: the protocol looks here for what became of its large send.
  if (large_send_mss(list.large_send) != 0) list.large_send = kLargeSendV2Complete;
  if (list.counted) ++finished_.counted;
  finished_.chain.push(&list);
}

void Sender::room() {
  platform::LockGuard guard(*lock_);
  blocked_ = false;
  step();
}

void Sender::served() { deliver(); }

/// Hands over what has been finished. Without the lock: what is handed over may come back.
void Sender::deliver() {
  Finished ready;
  bool drained = false;
  do {
    {
      platform::LockGuard guard(*lock_);
      // XENNET-008: only now is the last batch really the protocol's.
      outstanding_ -= ready.counted;
      ready = std::exchange(finished_, Finished{});
      drained = draining_ && outstanding_ == 0 && ready.chain.empty();
      if (drained) draining_ = false;
    }
    if (!ready.chain.empty()) owner_.sent(ready.chain.head());
  } while (!ready.chain.empty());
  if (drained) owner_.drained();
}

}  // namespace ringside::xennet
