#include "sim/guest/objects.hpp"

#include <algorithm>

namespace ringside::sim {
namespace {

/// Lets others run while a delegate ends on another vCPU.
void pause(World& world) {
  if (Actor* self = Actor::current()) return self->yield();
  world.run_until([] { return false; }, 1000);
}

}  // namespace

void GuestEvent::signal() {
  // Set with the lock held: whoever sees it may destroy() the event at once.
  const std::lock_guard lock(mutex_);
  set_.store(true);
  for (Vcpu* vcpu : waiters_) vcpu->kick();
}

GuestEvent::~GuestEvent() {
  // A signal() that woke the owner may not have returned yet.
  const std::lock_guard lock(mutex_);
}

void GuestEvent::add_waiter(Vcpu& vcpu) {
  const std::lock_guard lock(mutex_);
  waiters_.push_back(&vcpu);
}

void GuestEvent::remove_waiter(Vcpu& vcpu) {
  const std::lock_guard lock(mutex_);
  waiters_.erase(std::find(waiters_.begin(), waiters_.end(), &vcpu));
}

void GuestTimer::start(platform::Nanoseconds deadline) {
  {
    const std::lock_guard lock(vcpu_.mutex_);
    deadline_ = deadline;
    auto& timers = vcpu_.timers_;
    if (std::find(timers.begin(), timers.end(), this) == timers.end()) timers.push_back(this);
  }
  vcpu_.kick();
}

void GuestTimer::cancel() {
  {
    const std::lock_guard lock(vcpu_.mutex_);
    std::erase(vcpu_.timers_, this);
  }
  while (running_.load() && !vcpu_.is_current()) pause(vcpu_.world());
}

void GuestTimer::destroy() {
  cancel();
  if (running_.load()) {
    doomed_ = true;
  } else {
    delete this;
  }
}

void GuestTimer::run() {
  expired_();
  // As for work: once it is seen not to run, another vCPU may delete it.
  const bool doomed = doomed_;
  running_.store(false);
  if (doomed) delete this;
}

void GuestWork::queue() {
  {
    const std::lock_guard lock(vcpu_.mutex_);
    if (queued_) return;
    queued_ = true;
    vcpu_.jobs_.push_back({.run = nullptr, .work = this});
  }
  vcpu_.kick();
}

void GuestWork::unqueue() {
  const std::lock_guard lock(vcpu_.mutex_);
  queued_ = false;
  std::erase_if(vcpu_.jobs_, [this](const Vcpu::Job& job) { return job.work == this; });
}

void GuestWork::cancel() {
  unqueue();
  Actor* self = Actor::current();
  while (!idle_.is_set() && (self == nullptr || runner_.load() != self)) {
    if (vcpu_.is_current()) {
      vcpu_.wait_until(idle_, platform::kForever);
    } else {
      pause(vcpu_.world());
    }
  }
}

void GuestWork::destroy() {
  cancel();
  if (idle_.is_set()) {
    delete this;
  } else {
    doomed_ = true;
  }
}

void GuestWork::run() {
  // Also when the vCPU is stopped inside the delegate the work has ended.
  struct End {
    GuestWork* work;
    ~End() {
      // Only the delegate itself sets doomed_; once idle, another vCPU may delete the rest.
      const bool doomed = work->doomed_;
      work->runner_.store(nullptr);
      work->idle_.signal();
      if (doomed) delete work;
    }
  };
  const End end{this};
  runner_.store(Actor::current());
  run_();
}

}  // namespace ringside::sim
