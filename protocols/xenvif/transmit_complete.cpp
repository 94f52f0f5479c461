#include "protocols/xenvif/transmitter.hpp"

namespace ringside::xenvif {
namespace {

TxStatus from_wire(int16_t status) {
  if (status == NETIF_RSP_OKAY) return TxStatus::kSent;
  return status == NETIF_RSP_DROPPED ? TxStatus::kDroppedByPeer : TxStatus::kRejectedByPeer;
}

}  // namespace

bool Transmitter::publish() { return ring_ && ring_->publish(); }

bool Transmitter::arm() { return !ring_ || ring_->arm(); }

Result<Poll> Transmitter::poll(unsigned budget) {
  for (unsigned i = 0; ring_ && i < budget; ++i) {
    netif_tx_response_t response;
    const auto taken = ring_->take(response);
    if (!taken) return taken.status();
    if (!*taken) break;
    if (Status status = answered(response); status != Status::kOk) return status;
    if (i + 1 == budget) return Poll::kMore;
  }
  if (segmenting_.active) continue_segments();
  announce_room();
  return Poll::kIdle;
}

Status Transmitter::answered(const netif_tx_response_t& response) {
  if (response.status == NETIF_RSP_NULL) {
    // NETIF-TX-020: one for each extra; its id means nothing.
    if (extras_ == 0) return Status::kPeerViolation;
    --extras_;
    return Status::kOk;
  }
  // NETIF-TX-021: responses come in any order, but each for a request that has none yet.
  const uint16_t id = response.id;
  if (id >= kRingSlots) return Status::kPeerViolation;
  const SlotUse use = slots_[id].use;
  if (use == SlotUse::kFree || use == SlotUse::kHeld) return Status::kPeerViolation;
  if (use != SlotUse::kDummy) note(slots_[id].packet, from_wire(response.status));
  let_go(id);
  return Status::kOk;
}

void Transmitter::let_go(uint16_t id) {
  Slot& slot = slots_[id];
  switch (slot.use) {
    case SlotUse::kCell: free_cells_.put(slot.resource); break;
    case SlotUse::kStagingPage: free_pages_.put(slot.resource); break;
    case SlotUse::kDummy:
      slot.use = SlotUse::kFree;
      free_ids_.put(id);
      return;
    case SlotUse::kGrant:
    case SlotUse::kHeld:
      // GRANT-002: the client gets its page back only when the peer can no longer read it.
      if (connection_.grants->revoke(slot.ref) != Status::kOk) {
        if (slot.use == SlotUse::kGrant) {
          slot.use = SlotUse::kHeld;
          ++held_count_;
          ++statistics_.held;
        }
        return;
      }
      if (slot.use == SlotUse::kHeld) --held_count_;
      break;
    case SlotUse::kFree: return;
  }
  const uint16_t packet = slot.packet;
  slot.use = SlotUse::kFree;
  free_ids_.put(id);
  part_done(packet, TxStatus::kSent);
}

Status Transmitter::retry_held() {
  for (uint16_t id = 0; id < kRingSlots && held_count_ > 0; ++id) {
    if (slots_[id].use == SlotUse::kHeld) let_go(id);
  }
  if (held_count_ == 0) {
    held_retries_ = 0;
    return Status::kOk;
  }
  return ++held_retries_ > kHeldRetries ? Status::kPeerViolation : Status::kOk;
}

void Transmitter::note(uint16_t packet, TxStatus status) {
  if (packets_[packet].status == TxStatus::kSent) packets_[packet].status = status;
}

void Transmitter::part_done(uint16_t packet, TxStatus status) {
  note(packet, status);
  Pending& pending = packets_[packet];
  if (--pending.parts > 0) return;
  const Pending done = pending;
  free_packets_.put(packet);
  if (!done.own) complete(done.cookie, done.status);
}

void Transmitter::complete(uint64_t cookie, TxStatus status) {
  ++statistics_.by_status[static_cast<size_t>(status)];
  client_.transmitted(queue_, cookie, status);
}

void Transmitter::announce_room() {
  // Enough for the largest packet, or the client would be called only to fail again.
  if (!blocked_ || !ring_ || segmenting_.active || free_cells_.empty() || free_packets_.empty() ||
      free_pages_.size() < kMaxCopied || !room_for(XEN_NETIF_NR_SLOTS_MIN + kMaxExtras)) {
    return;
  }
  blocked_ = false;
  client_.room(queue_);
}

void Transmitter::abandon(uint16_t id) {
  Slot& slot = slots_[id];
  if (slot.use == SlotUse::kDummy) {
    slot.use = SlotUse::kFree;
    return;
  }
  const bool granted = slot.use == SlotUse::kGrant || slot.use == SlotUse::kHeld;
  if (granted && connection_.grants->revoke(slot.ref) != Status::kOk) {
    // The page is the client's: the bus gets only the reference, the client a warning.
    connection_.grants->park(slot.ref, platform::Page{});
    packets_[slot.packet].status = TxStatus::kPeerHoldsPages;
  }
  slot.use = SlotUse::kFree;
  part_done(slot.packet, TxStatus::kDisconnected);
}

void Transmitter::release() {
  ring_.reset();
  // NETIF-TX-045: what has no answer is over now, each packet exactly once.
  for (uint16_t id = 0; id < kRingSlots; ++id) {
    if (slots_[id].use != SlotUse::kFree) abandon(id);
  }
  if (segmenting_.active) {
    segmenting_.active = false;
    part_done(segmenting_.pending, TxStatus::kDisconnected);
  }
  if (connection_.grants != nullptr) {
    staging_.release(platform_, *connection_.grants);
    ring_page_.release(platform_, *connection_.grants);
  }
  connection_.grants = nullptr;
  free_ids_.fill();
  free_packets_.fill();
  free_cells_.fill();
  free_pages_.fill();
  extras_ = 0;
  held_count_ = 0;
  held_retries_ = 0;
  blocked_ = false;
}

}  // namespace ringside::xenvif
