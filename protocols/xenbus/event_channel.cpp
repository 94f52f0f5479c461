#include "protocols/xenbus/event_channel.hpp"

#include <algorithm>
#include <utility>

namespace ringside::xenbus {

Status EventChannels::Channel::start() {
  auto counted = owner_.platform_.create_event();
  if (!counted) return counted.status();
  counted_ = *std::move(counted);
  auto rest = owner_.platform_.create_timer(Delegate::to<&Channel::rested>(*this), cpu());
  if (!rest) return rest.status();
  rest_ = *std::move(rest);
  return Status::kOk;
}

bool EventChannels::Channel::unmask() {
  if (lost()) return false;
  wanted_masked_.store(false);
  if (resting_.load()) return false;  // unmasked at its end
  EventAbi& abi = *owner_.abi_;
  if (owner_.platform_.cpu() != cpu()) {
    // EVTCHN-001: only Xen can raise the event on another CPU, and does so only when it finds
    // the mask bit still set.
    (void)owner_.xen_.unmask(port_);
    return false;
  }
  if (!abi.unmask(port_)) return false;
  abi.mask(port_);
  // Whoever clears the bit owns the event: the caller here, or the upcall that came between.
  if (abi.acknowledge(port_)) {
    wanted_masked_.store(true);
    return true;
  }
  (void)owner_.xen_.unmask(port_);
  return false;
}

void EventChannels::Channel::trigger() {
  if (lost()) return;
  EventAbi& abi = *owner_.abi_;
  const bool was_masked = abi.masked(port_);
  abi.mask(port_);
  abi.set_pending(port_);
  if (!was_masked) (void)owner_.xen_.unmask(port_);
}

bool EventChannels::Channel::take() {
  if (auto_mask_.load()) mask();
  // EVTCHN-005: acknowledged before the handler looks for work, so that what arrives while it
  // looks is announced again; EVTCHN-007: and before it is counted, so that who waits for the
  // next one does not miss it.
  if (!owner_.abi_->acknowledge(port_)) return false;
  count_.fetch_add(1);
  if (waiting_.load()) counted_->signal();
  idle_ = false;
  return true;
}

void EventChannels::Channel::handled() {
  if (!std::exchange(idle_, false)) {
    idle_events_ = 0;
    return;
  }
  if (lost() || ++idle_events_ <= kPatience) return;
  // EVTCHN-006: what comes meanwhile is kept, and told afterwards.
  resting_.store(true);
  owner_.abi_->mask(port_);
  const unsigned shift = std::min(idle_events_ - kPatience - 1, kMaxShift);
  const platform::Nanoseconds rest = std::min(kFirstRest << shift, kLongestRest);
  rest_->start(owner_.platform_.now() + rest);
}

void EventChannels::Channel::rested() {
  resting_.store(false);
  if (!lost() && !wanted_masked_.load()) (void)owner_.xen_.unmask(port_);
}

Status EventChannels::Channel::wait(uint32_t seen, platform::Nanoseconds deadline) {
  const auto passed = [&] { return static_cast<int32_t>(count() - seen) > 0; };
  Status status = Status::kOk;
  waiting_.store(true);
  while (!passed() && !lost() && ok(status)) {
    counted_->reset();
    // What was counted before the reset is seen here, the rest signals.
    if (!passed() && !lost()) status = owner_.platform_.wait_until(*counted_, deadline);
  }
  waiting_.store(false);
  if (passed()) return Status::kOk;
  return lost() ? Status::kClosed : status;
}

void EventChannels::Channel::destroy() {
  owner_.remove(*this);
  const platform::Box<Channel> self = std::move(self_);
}

}  // namespace ringside::xenbus
