#include "protocols/xenvbd/queue.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "protocols/platform/line.hpp"

namespace ringside::xenvbd {
namespace {

constexpr uint32_t kMaxPieces = 4096;
constexpr uint32_t kGrantReserve = 64;
constexpr uint32_t kGrantLimit = kMaxPieces + platform::kMaxRangePages + IndirectPool::kMaxPages;
constexpr uint32_t kDefaultIndirectSegments = 256;
constexpr platform::Nanoseconds kRetryDelay = platform::kMillisecond;
constexpr unsigned kLastTries = 100;

/// BLKIF-NEG-002: the same size in the terms of both schemes.
Status write_ring_size(const xenbus::Node& directory, size_t pages) {
  const auto order = static_cast<uint32_t>(std::bit_width(pages)) - 1;
  if (Status status = directory.write_number("ring-page-order", order); !ok(status)) return status;
  return directory.write_number("num-ring-pages", pages);
}

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

Status Queue::prepare(xenbus::DomainId peer, uint32_t ring_page_order, uint16_t handle) {
  platform::Platform& platform = services_.platform;
  // A ring that an earlier back end still maps must not be granted to another.
  if (Status status = area_.release(platform, *grants_); !ok(status)) return status;
  peer_ = peer;
  handle_ = handle;
  if (Status status = area_.allocate(platform, ring_page_order); !ok(status)) return status;
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
    status = write_ring_size(directory, refs.size());
    for (size_t i = 0; i < refs.size() && ok(status); ++i) {
      const platform::Line key = platform::Line().text("ring-ref").number(i);
      status = directory.write_number(key.view(), refs[i]);
    }
  }
  if (!ok(status)) return status;
  return directory.write_number("event-channel", channel_->port());
}

Status Queue::start(const Disk& disk) {
  disk_ = disk;
  const uint32_t limit =
      services_.platform.setting("FrontendMaxIndirectSegments", kDefaultIndirectSegments);
  const uint32_t segments = std::min(disk.max_indirect_segments, limit);
  if (Status status = indirect_.prepare(*grants_, peer_, segments); !ok(status)) return status;
  closed_ = false;
  running_ = true;
  recheck();
  poll();
  return Status::kOk;
}

void Queue::attach(ring::Tap* tap) {
  tap_ = tap;
  ring_.attach(tap);
}

void Queue::disconnect() {
  running_ = false;
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
  // BLKIF-IO-031: all that is left begins again, in the order in which it came.
  unissued_ = requests_.front();
  indirect_.release(*grants_);
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
  release_lingering();
  if (!ring_.closed()) return poll();
  if (area_.held()) (void)area_.release(services_.platform, *grants_);
  if (anything_held()) timer_->start(services_.platform.now() + kRetryDelay);
}

}  // namespace ringside::xenvbd
