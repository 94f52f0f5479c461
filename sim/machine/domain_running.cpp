#include "sim/machine/domain.hpp"
#include "sim/machine/machine.hpp"

namespace ringside::sim {

std::optional<unsigned> Domain::shutdown_reason() const {
  const int reason = shutdown_reason_.load();
  if (reason < 0) return std::nullopt;
  return static_cast<unsigned>(reason);
}

void Domain::latch_shutdown(unsigned reason) {
  int none = -1;
  shutdown_code_.compare_exchange_strong(none, static_cast<int>(reason));
}

void Domain::set_shutdown(unsigned reason) {
  latch_shutdown(reason);
  int running = -1;
  if (!shutdown_reason_.compare_exchange_strong(running, shutdown_code_.load())) return;
  machine_.dom0().events().raise_virq(VIRQ_DOM_EXC);
}

int64_t Domain::suspend() {
  resume_answer_.store(-1);
  Actor* self = Actor::current();
  suspended_.store(self);
  set_shutdown(SHUTDOWN_suspend);
  if (self == nullptr) return 0;
  self->wait([this] { return resume_answer_.load() >= 0; });
  return resume_answer_.load();
}

void Domain::resume(int64_t answer) {
  shutdown_code_.store(-1);
  shutdown_reason_.store(-1);
  resume_answer_.store(answer);
  if (Actor* waiter = suspended_.exchange(nullptr)) waiter->wake();
}

void Domain::pause() { pauses_.fetch_add(1); }

void Domain::unpause() {
  pauses_.fetch_sub(1);
  for (unsigned vcpu = 0; vcpu < config_.vcpus; ++vcpu) kick(vcpu);
}

void Domain::set_runner(unsigned vcpu, Actor* actor) { runners_[vcpu].store(actor); }

void Domain::kick(unsigned vcpu) {
  if (Actor* runner = runners_[vcpu].load()) runner->wake();
}

unsigned Domain::start_watchdog(Nanoseconds timeout) {
  const std::lock_guard lock(mutex_);
  for (unsigned id = 1; id <= kWatchdogs; ++id) {
    if (std::exchange(watchdogs_[id - 1], true)) continue;
    arm_watchdog(id, timeout);
    return id;
  }
  return 0;
}

bool Domain::set_watchdog(unsigned id, Nanoseconds timeout) {
  const std::lock_guard lock(mutex_);
  if (!watchdogs_[id - 1]) return false;
  if (timeout != 0) {
    arm_watchdog(id, timeout);
  } else {
    watchdogs_[id - 1] = false;
    machine_.timers().stop({id_, Timers::Kind::kWatchdog, id});
  }
  return true;
}

void Domain::arm_watchdog(unsigned id, Nanoseconds timeout) {
  machine_.timers().set({id_, Timers::Kind::kWatchdog, id}, machine_.world().now() + timeout,
                        [this] {
                          if (!dying()) set_shutdown(SHUTDOWN_watchdog);
                        });
}

void Domain::set_periodic_timer(unsigned vcpu, Nanoseconds period) {
  const Timers::Key key{id_, Timers::Kind::kPeriodic, vcpu};
  if (period == 0) return machine_.timers().stop(key);
  machine_.timers().set(
      key, machine_.world().now() + period, [this, vcpu] { events_->raise_virq(VIRQ_TIMER, vcpu); },
      period);
}

void Domain::set_single_timer(unsigned vcpu, Nanoseconds when) {
  const Timers::Key key{id_, Timers::Kind::kSingle, vcpu};
  if (when == platform::kForever) return machine_.timers().stop(key);
  machine_.timers().set(key, when, [this, vcpu] { events_->raise_virq(VIRQ_TIMER, vcpu); });
}

}  // namespace ringside::sim
