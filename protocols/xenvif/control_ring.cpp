#include "protocols/xenvif/control_ring.hpp"

#include <algorithm>

namespace ringside::xenvif {
namespace {

constexpr uint32_t kGrants = 2;
constexpr platform::Nanoseconds kPatience = 5 * platform::kSecond;
constexpr platform::Nanoseconds kLook = platform::kSecond;

Status from_wire(uint32_t status) {
  switch (status) {
    case XEN_NETIF_CTRL_STATUS_SUCCESS: return Status::kOk;
    case XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED: return Status::kNotSupported;
    case XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER: return Status::kInvalidArgument;
    case XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW: return Status::kTooLarge;
    default: return Status::kIoError;
  }
}

}  // namespace

Status ControlRing::create_parts() {
  if (!lock_) {
    auto lock = services_.platform.create_lock();
    if (!lock) return lock.status();
    lock_ = *std::move(lock);
  }
  if (!answered_) {
    auto answered = services_.platform.create_event();
    if (!answered) return answered.status();
    answered_ = *std::move(answered);
  }
  return Status::kOk;
}

Status ControlRing::prepare(xenbus::DomainId peer) {
  if (Status status = create_parts(); !ok(status)) return status;
  auto grants = services_.grants.create_cache("vif control", kGrants, kGrants);
  if (!grants) return grants.status();
  grants_ = *std::move(grants);
  for (GrantedPage* page : {&ring_page_, &parameters_}) {
    if (Status status = page->prepare(services_.platform, *grants_, peer); !ok(status)) {
      return status;
    }
  }
  // RING-011: laid anew for each connection, before the peer learns of it.
  auto ring = Ring::create({ring_page_.page().address, platform::kPageSize});
  if (!ring) return ring.status();
  auto channel = services_.events.open_unbound(peer, Delegate::to<&ControlRing::event>(*this), 0);
  if (!channel) return channel.status();
  channel_ = *std::move(channel);
  const platform::LockGuard guard(*lock_);
  ring_ = *std::move(ring);
  return Status::kOk;
}

Status ControlRing::publish(const xenbus::Node& frontend) const {
  if (!channel_) return Status::kOk;
  const Status status = frontend.write_number("ctrl-ring-ref", ring_page_.ref());
  if (!ok(status)) return status;
  return frontend.write_number("event-channel-ctrl", channel_->port());
}

void ControlRing::start() {
  if (!channel_) return;
  const platform::LockGuard guard(*lock_);
  running_ = true;
}

bool ControlRing::running() const {
  if (!channel_) return false;
  const platform::LockGuard guard(*lock_);
  return running_;
}

void ControlRing::stop() {
  if (!lock_) return;
  const platform::LockGuard guard(*lock_);
  running_ = false;
  if (waiting_) answered_->signal();
}

void ControlRing::release() {
  channel_.reset();
  if (grants_) {
    ring_page_.release(services_.platform, *grants_);
    parameters_.release(services_.platform, *grants_);
  }
  grants_.reset();
}

Result<uint32_t> ControlRing::call(uint16_t type, uint32_t first, uint32_t second, uint32_t third) {
  if (!channel_) return Status::kNotSupported;
  bool tell = false;
  {
    const platform::LockGuard guard(*lock_);
    if (!running_ || ring_.free_slots() == 0) return Status::kClosed;
    answered_->reset();
    waiting_ = true;
    ring_.put(xen_netif_ctrl_request{++id_, type, {first, second, third}});
    tell = ring_.publish();
  }
  if (tell) channel_->notify();
  await();
  const platform::LockGuard guard(*lock_);
  if (!running_) return Status::kClosed;
  if (waiting_) {
    running_ = false;
    return Status::kTimedOut;
  }
  if (const Status status = from_wire(answer_.status); !ok(status)) return status;
  return answer_.data;
}

void ControlRing::await() {
  platform::Platform& platform = services_.platform;
  const platform::Nanoseconds deadline = platform.now() + kPatience;
  while (platform.now() < deadline) {
    // A lost event holds an answer up no longer than that.
    const platform::Nanoseconds look = std::min(deadline, platform.now() + kLook);
    if (ok(platform.wait_until(*answered_, look))) return;
    event();
  }
}

void ControlRing::event() {
  bool sane = true;
  {
    const platform::LockGuard guard(*lock_);
    do {
      sane = take_answers();
    } while (sane && !ring_.arm());
    if (!sane) {
      running_ = false;
      answered_->signal();
    }
  }
  if (!sane) owner_.control_failed(Status::kPeerViolation);
}

bool ControlRing::take_answers() {
  for (;;) {
    auto response = ring_.take();
    if (!response) return response.status() == Status::kClosed;
    if (!*response) return true;
    // There is but one request that can be answered.
    const bool expected = waiting_ && (*response)->id == id_;
    if (!expected) return false;
    answer_ = **response;
    waiting_ = false;
    answered_->signal();
  }
}

}  // namespace ringside::xenvif
