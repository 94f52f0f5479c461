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
  if (!timer_) return;
  disconnect();
  close();
  auto pause = services_.platform.create_event();
  for (unsigned i = 0; i < kLastTries && pause && anything_held(); ++i) {
    services_.platform.wait_until(**pause, services_.platform.now() + kRetryDelay);
    on_cpu(Delegate::to<&Queue::timer_expired>(*this));
  }
  timer_->cancel();
  if (!anything_held()) return;
  services_.platform.log(platform::LogLevel::kError, "vbd: the back end never let go of memory");
  while (requests_.front() != nullptr) complete(*requests_.front(), Status::kClosed);
}

Status Queue::create_parts() {
  platform::Platform& platform = services_.platform;
  auto grants = services_.grants.create_cache("vbd", kGrantReserve, kGrantLimit);
  if (!grants) return grants.status();
  grants_ = *std::move(grants);
  if (Status status = call_.prepare(platform, index_); !ok(status)) return status;
  if (Status status = close_call_.prepare(platform, index_); !ok(status)) return status;
  auto lock = platform.create_lock();
  if (!lock) return lock.status();
  give_lock_ = *std::move(lock);
  auto timer = platform.create_timer(Delegate::to<&Queue::timer_expired>(*this), index_);
  if (!timer) return timer.status();
  timer_ = *std::move(timer);
  if (Status status = pieces_.prepare(platform, kMaxPieces); !ok(status)) return status;
  return bounce_.prepare();
}

Status Queue::prepare(xenbus::DomainId peer, const Terms& terms) {
  on_cpu(Delegate::to<&Queue::clear>(*this));
  if (!ok(result_)) return result_;
  peer_ = peer;
  terms_ = terms;
  const uint32_t order = terms.ring_page_order;
  if (Status status = area_.allocate(services_.platform, order); !ok(status)) return status;
  auto channel = services_.events.open_unbound(peer, Delegate::to<&Queue::event>(*this), index_);
  if (!channel) return channel.status();
  channel_ = *std::move(channel);
  on_cpu(Delegate::to<&Queue::lay>(*this));
  return result_;
}

/// A ring that an earlier back end still maps must not be granted to another.
void Queue::clear() {
  result_ = area_.release(services_.platform, *grants_);
  area_held_ = !ok(result_);
}

void Queue::lay() {
  auto ring = Ring::create(area_.bytes());
  result_ = ring.status();
  if (!ring) return;
  ring_ = *std::move(ring);
  seen_ = 0;
  ring_.attach(tap_);
  attached_ = true;
  idle_ = false;
  result_ = area_.permit(*grants_, peer_);
  if (ok(result_)) result_ = slots_.prepare(services_.platform, ring_.size());
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
  given_ = disk;
  indirect_limit_ =
      services_.platform.setting("FrontendMaxIndirectSegments", kDefaultIndirectSegments);
  on_cpu(Delegate::to<&Queue::begin>(*this));
  return result_;
}

void Queue::begin() {
  disk_ = given_;
  // BLKIF-IO-023: of use to who keeps what it mapped, and right for anybody.
  persistent_ = terms_.persistent && disk_.persistent;
  bounces_all_ = persistent_ || !terms_.trusted;
  const uint32_t segments = std::min(disk_.max_indirect_segments, indirect_limit_);
  // BLKIF-IO-022. Who keeps grants maps them all alike, these too.
  const auto access = persistent_ ? xenbus::Access::kReadWrite : xenbus::Access::kReadOnly;
  result_ = indirect_.prepare(*grants_, peer_, access, segments);
  if (!ok(result_)) return;
  uint32_t pages = BouncePool::kReserve;
  if (bounces_all_) {
    const uint32_t most = std::max(indirect_.max_segments(), kMaxDirectSegments);
    pages = std::clamp(ring_.size() * most, pages, kMaxPieces);
  }
  // Without memory for more the reserve has to do: requests wait for its pages.
  (void)bounce_.set_limit(pages);
  closed_ = false;
  running_ = true;
  recheck();
  timer_expired();
}

void Queue::idle(const Disk& disk) {
  given_ = disk;
  on_cpu(Delegate::to<&Queue::become_idle>(*this));
}

void Queue::become_idle() {
  disk_ = given_;
  idle_ = true;
  closed_ = false;
  hand_on();
}

/// BLKIF-IO-031: what no peer holds of an idle queue's requests is another queue's to do; the rest
/// comes when its former peer lets go.
void Queue::hand_on() {
  RequestList requests;
  for (Request* r = requests_.front(); r != nullptr;) {
    Request& request = *r;
    r = RequestList::after(request);
    if (request.in_flight_ > 0) continue;
    take_out(request);
    requests.push_back(request);
  }
  if (requests.front() != nullptr) owner_.queue_stranded(requests);
}

void Queue::adopt(RequestList& requests) {
  {
    const platform::LockGuard guard(*give_lock_);
    adopted_.append(requests);
  }
  timer_->start(services_.platform.now());
}

void Queue::take_adopted() {
  RequestList adopted;
  {
    const platform::LockGuard guard(*give_lock_);
    adopted.append(adopted_);
  }
  if (adopted.front() == nullptr) return;
  if (unissued_ == nullptr) unissued_ = adopted.front();
  requests_.append(adopted);
  if (running_) recheck();
}

void Queue::resize(uint64_t sectors) {
  given_.sectors = sectors;
  on_cpu(Delegate::to<&Queue::take_size>(*this));
}

void Queue::take_size() { disk_.sectors = given_.sectors; }

void Queue::stop() { on_cpu(Delegate::to<&Queue::halt>(*this)); }

void Queue::halt() { running_ = draining_ = false; }

void Queue::drain() {
  draining_ = true;
  timer_->start(services_.platform.now());
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
  on_cpu(Delegate::to<&Queue::let_go>(*this));
  channel_.reset();
  on_cpu(Delegate::to<&Queue::release>(*this));
}

void Queue::let_go() {
  halt();
  // What the back end answered before it went is done.
  uint32_t budget = ring_.size();
  if (!ring_.closed()) (void)take_responses(budget);
  ring_.close();
  attached_ = false;
}

void Queue::release() {
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
  clear();
  if (anything_held()) timer_->start(services_.platform.now() + kRetryDelay);
}

void Queue::close() { on_cpu(Delegate::to<&Queue::end>(*this)); }

void Queue::close_detached() { close_call_.run(Delegate::to<&Queue::end_detached>(*this)); }

void Queue::end_detached() {
  if (!attached_) end();
}

void Queue::end() {
  closed_ = true;
  take_adopted();
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
  take_adopted();
  if (draining_.exchange(false)) {
    if (drain_ == Drain::kNo) drain_ = Drain::kWaiting;
    flush_if_drained();
  }
  release_lingering();
  if (!ring_.closed()) return poll();
  if (area_held_) clear();
  if (anything_held()) timer_->start(services_.platform.now() + kRetryDelay);
}

}  // namespace ringside::xenvbd
