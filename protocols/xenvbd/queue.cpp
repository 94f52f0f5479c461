#include "protocols/xenvbd/queue.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "protocols/platform/line.hpp"

namespace ringside::xenvbd {
namespace {

constexpr uint32_t kMaxPieces = 4096;
constexpr uint32_t kGrantReserve = 64;
constexpr uint32_t kGrantLimit = kMaxPieces + platform::kMaxRangePages + IndirectPool::kMaxPages;
constexpr uint32_t kDefaultIndirectSegments = 256;
constexpr platform::Nanoseconds kRetryDelay = platform::kMillisecond;
constexpr unsigned kLastTries = 100;

}  // namespace

Queue::Queue(const xenbus::Services& services, unsigned index, Client& client, Owner& owner)
    : services_(services),
      index_(index),
      client_(client),
      owner_(owner),
      bounce_(services.platform),
      indirect_(services.platform) {}

Queue::~Queue() {
  if (timer_) disconnect();
  close();
  auto pause = services_.platform.create_event();
  for (unsigned i = 0; i < kLastTries && pause && anything_held(); ++i) {
    services_.platform.wait_until(**pause, services_.platform.now() + kRetryDelay);
    timer_expired();
    (void)area_.release(services_.platform, *grants_);
  }
  if (!anything_held()) return;
  services_.platform.log(platform::LogLevel::kError, "vbd: the back end never let go of memory");
  while (requests_.front() != nullptr) complete(*requests_.front(), Status::kClosed);
}

Status Queue::create_parts() {
  auto grants = services_.grants.create_cache("vbd", kGrantReserve, kGrantLimit);
  if (!grants) return grants.status();
  grants_ = *std::move(grants);
  auto timer = services_.platform.create_timer(Delegate::to<&Queue::timer_expired>(*this), index_);
  if (!timer) return timer.status();
  timer_ = *std::move(timer);
  if (Status status = pieces_.prepare(services_.platform, kMaxPieces); !ok(status)) return status;
  return bounce_.prepare();
}

Status Queue::prepare(xenbus::DomainId peer, const Terms& terms) {
  platform::Platform& platform = services_.platform;
  // A ring that an earlier back end still maps must not be granted to another.
  if (Status status = area_.release(platform, *grants_); !ok(status)) return status;
  peer_ = peer;
  terms_ = terms;
  idle_ = false;
  if (Status status = area_.allocate(platform, terms.ring_page_order); !ok(status)) return status;
  auto ring = Ring::create(area_.bytes());
  if (!ring) return ring.status();
  ring_ = *std::move(ring);
  seen_ = 0;
  ring_.attach(tap_);
  if (Status status = area_.permit(*grants_, peer); !ok(status)) return status;
  if (Status status = slots_.prepare(platform, ring_.size()); !ok(status)) return status;
  auto channel = services_.events.open_unbound(peer, Delegate::to<&Queue::event>(*this), index_);
  if (!channel) return channel.status();
  channel_ = *std::move(channel);
  return Status::kOk;
}

Status Queue::publish(const xenbus::Node& directory) const {
  const std::span<const xenbus::GrantRef> refs = area_.refs();
  Status status = Status::kOk;
  // BLKIF-NEG-004: one page has the plain key alone, more have the numbered ones alone.
  if (refs.size() == 1) {
    status = directory.write_number("ring-ref", refs[0]);
  } else {
    for (size_t i = 0; i < refs.size() && ok(status); ++i) {
      const platform::Line key = platform::Line().text("ring-ref").number(i);
      status = directory.write_number(key.view(), refs[i]);
    }
  }
  if (!ok(status)) return status;
  return directory.write_number("event-channel", channel_->port());
}

Status Queue::publish_ring_size(const xenbus::Node& frontend) const {
  const size_t pages = area_.refs().size();
  if (pages == 1) return Status::kOk;
  // BLKIF-NEG-002: the same size in the terms of both schemes.
  const auto order = static_cast<uint32_t>(std::bit_width(pages)) - 1;
  if (Status status = frontend.write_number("ring-page-order", order); !ok(status)) return status;
  return frontend.write_number("num-ring-pages", pages);
}

Status Queue::start(const Disk& disk) {
  disk_ = disk;
  // BLKIF-IO-023: of use to who keeps what it mapped, and right for anybody.
  persistent_ = terms_.persistent && disk.persistent;
  bounces_all_ = persistent_ || !terms_.trusted;
  const uint32_t limit =
      services_.platform.setting("FrontendMaxIndirectSegments", kDefaultIndirectSegments);
  const uint32_t segments = std::min(disk.max_indirect_segments, limit);
  // BLKIF-IO-022. Who keeps grants maps them all alike, these too.
  const auto access = persistent_ ? xenbus::Access::kReadWrite : xenbus::Access::kReadOnly;
  if (Status status = indirect_.prepare(*grants_, peer_, access, segments); !ok(status)) {
    return status;
  }
  uint32_t pages = BouncePool::kReserve;
  if (bounces_all_) {
    const uint32_t most = std::max(indirect_.max_segments(), kMaxDirectSegments);
    pages = std::clamp(ring_.size() * most, pages, kMaxPieces);
  }
  // Without memory for more the reserve has to do: requests wait for its pages.
  (void)bounce_.set_limit(pages);
  closed_ = false;
  starting_ = true;
  run_soon();
  return Status::kOk;
}

/// The event handler may be at work on this queue's CPU: what it uses is touched there alone.
void Queue::run_soon() {
  if (services_.platform.cpu() == index_) return timer_expired();
  timer_->start(services_.platform.now());
}

void Queue::begin() {
  running_ = true;
  recheck();
}

void Queue::idle(const Disk& disk) {
  disk_ = disk;
  idle_ = true;
  closed_ = false;
}

void Queue::adopt(Queue& idle) {
  for (Request* r = idle.requests_.front(); r != nullptr;) {
    Request& request = *r;
    r = RequestList::after(request);
    if (request.in_flight_ > 0) continue;  // it comes when its former peer lets go
    idle.take_out(request);
    requests_.push_back(request);
    if (unissued_ == nullptr) unissued_ = &request;
  }
  recheck();
  pump();
  kick();
}

void Queue::drain() {
  draining_ = true;
  run_soon();
}

void Queue::flush_if_drained() {
  if (drain_ != Drain::kWaiting || closed_ || requests_.front() != nullptr) return;
  // BLKIF-IO-037: what the disk has not yet made safe must not go with its power.
  drain_ = Drain::kFlushing;
  last_.operation = Operation::kFlush;
  last_.rewind();
  requests_.push_back(last_);
  unissued_ = &last_;
  pump();
}

void Queue::attach(ring::Tap* tap) {
  tap_ = tap;
  ring_.attach(tap);
}

void Queue::disconnect() {
  stop();
  // What the back end answered before it went is done.
  uint32_t budget = ring_.size();
  if (!ring_.closed()) (void)take_responses(budget);
  ring_.close();
  channel_.reset();
  timer_->cancel();
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.state == Slot::State::kFree) continue;
    if (slot.indirect != kNoIndex) indirect_.give_back(slot.indirect);
    slot.indirect = kNoIndex;
    if (!slot.request->reissue_) ++statistics_.reissued;
    slot.request->reissue_ = true;
    if (slot.state == Slot::State::kSent) finish(i, Status::kOk);
  }
  if (std::exchange(drain_, Drain::kNo) == Drain::kFlushing) take_out(last_);
  // BLKIF-IO-031: all that is left begins again, in the order in which it came.
  unissued_ = requests_.front();
  indirect_.release(*grants_);
  bounce_.release(*grants_);  // BLKIF-IO-024: only now
  (void)area_.release(services_.platform, *grants_);
  if (anything_held()) timer_->start(services_.platform.now() + kRetryDelay);
}

void Queue::close() {
  closed_ = true;
  pumping_ = true;
  for (Request* r = requests_.front(); r != nullptr;) {
    Request& request = *r;
    r = RequestList::after(request);
    if (request.in_flight_ == 0) complete(request, Status::kClosed);
  }
  pumping_ = false;
}

void Queue::recheck() {
  pumping_ = true;
  for (Request* r = requests_.front(); r != nullptr;) {
    Request& request = *r;
    r = RequestList::after(request);
    const Status status = check(request);
    if (!ok(status) && request.in_flight_ == 0) complete(request, status);
  }
  pumping_ = false;
}

void Queue::timer_expired() {
  if (starting_.exchange(false)) begin();
  if (draining_.exchange(false)) {
    if (drain_ == Drain::kNo) drain_ = Drain::kWaiting;
    flush_if_drained();
  }
  release_lingering();
  if (!ring_.closed()) return poll();
  if (area_.held()) (void)area_.release(services_.platform, *grants_);
  if (anything_held()) timer_->start(services_.platform.now() + kRetryDelay);
}

}  // namespace ringside::xenvbd
