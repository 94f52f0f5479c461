#include "protocols/xeniface/gateway.hpp"

namespace ringside::xeniface {

Result<platform::Box<Gateway>> Gateway::create(const Interfaces& interfaces) {
  auto box = platform::Box<Gateway>::create(interfaces.services.platform, interfaces);
  if (!box) return box.status();
  if (const Status status = (*box)->start(); !ok(status)) return status;
  return box;
}

Status Gateway::start() {
  auto lock = services_.platform.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  auto work = services_.platform.create_work(Delegate::to<&Gateway::retry>(*this), 0);
  if (!work) return work.status();
  retry_ = *std::move(work);
  auto timer = services_.platform.create_timer(Delegate::to<&Gateway::timer_expired>(*this), 0);
  if (!timer) return timer.status();
  timer_ = *std::move(timer);
  return Status::kOk;
}

Gateway::~Gateway() {
  if (!timer_) return;
  {
    const platform::LockGuard guard(*lock_);
    leaving_ = true;
  }
  // Once nothing can start the timer any more: it, and what it queued at last.
  retry_->cancel();
  timer_->cancel();
  retry_->cancel();
  retry();
  while (platform::Box<GrantRegion> region = parked_.take([](auto&) { return true; })) {
    services_.platform.log(platform::LogLevel::kError,
                           "pages of a caller are still mapped by a peer and are lost");
    region->lose();
  }
}

Result<Owned<Handle>> Gateway::open(Caller& caller) {
  // IFACE-001: the descriptor of the device says so already; XSA-468 is what happens when it
  // gets lost on the way.
  if (!caller.is_administrator()) return Status::kAccessDenied;
  return Handle::create(*this, caller);
}

void Gateway::park(platform::Box<GrantRegion> region) {
  {
    const platform::LockGuard guard(*lock_);
    parked_.add(std::move(region));
    ++parked_count_;
    if (retrying_ || leaving_) return;
    retrying_ = true;
  }
  timer_->start(services_.platform.now() + kRetryInterval);
}

unsigned Gateway::parked() const {
  const platform::LockGuard guard(*lock_);
  return parked_count_;
}

void Gateway::retry() {
  ObjectList<GrantRegion> left;
  {
    const platform::LockGuard guard(*lock_);
    std::swap(left, parked_);
  }
  unsigned ended = 0;
  ObjectList<GrantRegion> kept;
  while (platform::Box<GrantRegion> region = left.take([](auto&) { return true; })) {
    if (ok(region->end())) {
      ++ended;
    } else {
      kept.add(std::move(region));
    }
  }
  {
    const platform::LockGuard guard(*lock_);
    parked_count_ -= ended;
    while (platform::Box<GrantRegion> region = kept.take([](auto&) { return true; })) {
      parked_.add(std::move(region));
    }
    retrying_ = parked_count_ != 0 && !leaving_;
    if (!retrying_) return;
  }
  timer_->start(services_.platform.now() + kRetryInterval);
}

}  // namespace ringside::xeniface
