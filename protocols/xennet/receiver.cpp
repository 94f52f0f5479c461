#include "protocols/xennet/receiver.hpp"

#include "protocols/xennet/packet_info.hpp"

namespace ringside::xennet {

Receiver::~Receiver() {
  for (const platform::Page& page : heads_) {
    if (page) platform_.release_page(page);
  }
}

Status Receiver::create_parts() {
  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  auto timer = platform_.create_timer(Delegate::to<&Receiver::expired>(*this), cpu_);
  if (!timer) return timer.status();
  timer_ = *std::move(timer);
  if (Status status = create_buffers(); status != Status::kOk) return status;
  return create_batches();
}

Status Receiver::create_buffers() {
  auto heads = platform::Array<platform::Page>::create(platform_, kBuffers / kHeadsPerPage);
  if (!heads) return heads.status();
  heads_ = *std::move(heads);
  for (platform::Page& page : heads_) {
    auto fresh = platform_.allocate_page();
    if (!fresh) return fresh.status();
    page = *fresh;
  }
  auto sources = platform::Array<Source>::create(platform_, kBuffers);
  if (!sources) return sources.status();
  sources_ = *std::move(sources);
  auto buffers = platform::Array<Buffer>::create(platform_, kBuffers);
  if (!buffers) return buffers.status();
  buffers_ = *std::move(buffers);
  for (Buffer& buffer : buffers_) {
    buffer.owner = this;
    buffer.list.context = &buffer;
    buffer.list.first = &buffer.packet;
  }
  return Status::kOk;
}

Status Receiver::create_batches() {
  auto batches = platform::Array<Batch>::create(platform_, platform_.cpu_count());
  if (!batches) return batches.status();
  batches_ = *std::move(batches);
  unsigned cpu = 0;
  for (Batch& batch : batches_) {
    batch.owner = this;
    batch.cpu = cpu;
    auto timer = platform_.create_timer(Delegate::to<&Batch::expired>(batch), cpu++);
    if (!timer) return timer.status();
    batch.timer = *std::move(timer);
  }
  return Status::kOk;
}

Receiver& Receiver::of(const NetBufferList& list) {
  return *static_cast<Buffer*>(list.context)->owner;
}

void Receiver::configure(const Configuration& configuration) {
  platform::LockGuard guard(*lock_);
  configuration_ = configuration;
}

void Receiver::open() {
  platform::LockGuard guard(*lock_);
  open_ = true;
}

Traffic Receiver::statistics() {
  platform::LockGuard guard(*lock_);
  return statistics_;
}

void Receiver::received(const xenvif::RxPacket& packet) {
  platform::LockGuard guard(*lock_);
  const Verdict verdict = open_ ? accept(packet) : Verdict::kUnwanted;
  if (verdict == Verdict::kUp) return;
  port_.give_back(packet);
  if (verdict == Verdict::kBad) ++statistics_.errors;
  if (verdict == Verdict::kNoBuffer) ++statistics_.no_buffer;
  if (verdict == Verdict::kNoBuffer || !open_) ++statistics_.discards;
}

void Receiver::served() {
  {
    platform::LockGuard guard(*lock_);
    for (Batch& batch : batches_) {
      if (batch.cpu != cpu_ && !batch.chain.empty()) batch.timer->start(platform_.now());
    }
  }
  hand_over(batches_[cpu_]);
}

void Receiver::hand_over(Batch& batch) {
  Chain ready;
  bool lend = false;
  {
    platform::LockGuard guard(*lock_);
    ready = batch.chain.take();
    // XENNET-013: rather a copy made above us than a ring run dry.
    lend = free_buffers_.size() < kFewBuffers || held_pages_ > kManyPages;
    for (NetBufferList* list = ready.head(); list != nullptr; list = list->next) {
      static_cast<Buffer*>(list->context)->is_up = true;
    }
  }
  if (ready.empty()) return;
  owner_.received(ready.head(), ready.count(), lend ? kReceiveResources : 0);
  if (!lend) return;
  {
    platform::LockGuard guard(*lock_);
    while (!ready.empty()) take_back(*ready.pop());
    reclaim();
  }
  check_drained();
}

void Receiver::give_back(NetBufferList& list) {
  {
    platform::LockGuard guard(*lock_);
    take_back(list);
    reclaim();
  }
  check_drained();
}

void Receiver::take_back(NetBufferList& list) {
  // XENNET-010: each list once, or another packet would lose its buffer.
  Buffer& buffer = *static_cast<Buffer*>(list.context);
  RINGSIDE_ASSERT(platform_, buffer.is_up);
  buffer.is_up = false;
  returned_.push(&list);
}

/// Releases what came back, here or on the queue's CPU. With the lock.
void Receiver::reclaim() {
  if (returned_.empty()) return;
  if (platform_.cpu() != cpu_) return timer_->start(platform_.now());
  while (!returned_.empty()) release(*static_cast<Buffer*>(returned_.pop()->context));
}

void Receiver::expired() {
  {
    platform::LockGuard guard(*lock_);
    reclaim();
  }
  check_drained();
}

/// The source through which buffers show this packet. With the lock, and one is free: each in
/// use has a buffer of its own.
uint16_t Receiver::borrow(const xenvif::RxPacket& packet) {
  const uint16_t source = free_sources_.take();
  sources_[source] = {packet, 0};
  held_pages_ += static_cast<unsigned>(packet.fragments.size());
  return source;
}

void Receiver::release(Buffer& buffer) {
  if (buffer.source != kNoSource) {
    Source& source = sources_[buffer.source];
    if (--source.users == 0) {
      held_pages_ -= static_cast<unsigned>(source.packet.fragments.size());
      port_.give_back(source.packet);
      free_sources_.put(buffer.source);
    }
  }
  free_buffers_.put(static_cast<uint16_t>(&buffer - buffers_.begin()));
}

void Receiver::drain() {
  {
    platform::LockGuard guard(*lock_);
    open_ = false;
    draining_ = true;
    for (Batch& batch : batches_) {
      statistics_.discards += batch.chain.count();
      while (!batch.chain.empty()) returned_.push(batch.chain.pop());
    }
    reclaim();
  }
  check_drained();
}

void Receiver::check_drained() {
  {
    platform::LockGuard guard(*lock_);
    if (!draining_ || !free_buffers_.full()) return;
    draining_ = false;
  }
  owner_.drained();
}

}  // namespace ringside::xennet
