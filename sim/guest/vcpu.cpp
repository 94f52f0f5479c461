#include "sim/guest/vcpu.hpp"

#include <algorithm>
#include <utility>

#include "sim/guest/objects.hpp"

namespace ringside::sim {

using platform::kForever;
using platform::Nanoseconds;

Vcpu::Vcpu(Machine& machine, Domain& domain, unsigned index)
    : machine_(machine),
      domain_(&domain),
      home_{domain.id(), index, machine.host()},
      index_(index) {
  driver_.store(&new_context());
  kick();
}

Vcpu::~Vcpu() = default;

Vcpu::Context& Vcpu::new_context() {
  contexts_.push_back(std::make_unique<Context>());
  Context& context = *contexts_.back();
  started_.fetch_add(1);
  world().spawn(
      domain().name() + "/vcpu" + std::to_string(index_),
      [this, &context] { run_context(context); }, home_);
  return context;
}

void Vcpu::post(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({.run = std::move(job), .work = nullptr});
  }
  kick();
}

void Vcpu::kick() {
  if (Context* driver = driver_.load()) {
    if (Actor* actor = driver->actor.load()) actor->wake();
  }
}

bool Vcpu::is_current() const {
  const Actor* self = Actor::current();
  return self != nullptr && self->place() == home_;
}

std::exception_ptr Vcpu::take_failure() {
  const std::lock_guard lock(mutex_);
  return std::exchange(failure_, nullptr);
}

void Vcpu::run_context(Context& context) {
  struct End {
    Vcpu& vcpu;
    ~End() { vcpu.ended_.fetch_add(1); }
  };
  const End end{*this};
  context.actor.store(Actor::current());
  await_turn(context);
  drive(context);
  domain().set_runner(index_, nullptr);
  if (!idle_.empty()) {
    Context* next = idle_.back();
    idle_.pop_back();
    driver_.store(next);
    kick();
  }
}

void Vcpu::drive(Context& context) {
  for (;;) {
    dispatch();
    if (Context* next = finished_waiter()) {
      idle_.push_back(&context);
      hand_over(context, *next);
      if (stopping()) return;
      continue;
    }
    if (stopping()) return;
    Job job;
    if (take_job(job)) {
      run_job(job);
      continue;
    }
    context.actor.load()->sleep(next_deadline());
  }
}

Status Vcpu::wait_until(GuestEvent& event, Nanoseconds deadline) {
  Context& self = *driver_.load();
  struct Registration {
    GuestEvent& event;
    Vcpu& vcpu;
    Registration(GuestEvent& awaited, Vcpu& waiter) : event(awaited), vcpu(waiter) {
      event.add_waiter(vcpu);
    }
    ~Registration() { event.remove_waiter(vcpu); }
  };
  const Registration registration(event, *this);
  for (;;) {
    dispatch();
    if (event.is_set()) return Status::kOk;
    if (world().now() >= deadline) return Status::kTimedOut;
    if (stopping()) {
      count_stopped_wait();
      return Status::kTimedOut;
    }
    Context* next = finished_waiter();
    if (next == nullptr && job_ready()) {
      if (idle_.empty()) {
        next = &new_context();
      } else {
        next = idle_.back();
        idle_.pop_back();
      }
    }
    if (next == nullptr) {
      self.actor.load()->sleep(std::min(deadline, next_deadline()));
      continue;
    }
    self.awaited = &event;
    self.deadline = deadline;
    waiters_.push_back(&self);
    hand_over(self, *next);
  }
}

void Vcpu::count_stopped_wait() {
  constexpr uint32_t kPatience = 1000;
  if (++stopped_waits_ > kPatience && std::uncaught_exceptions() == 0) throw Stopped{};
}

void Vcpu::hand_over(Context& self, Context& next) {
  driver_.store(&next);
  kick();
  await_turn(self);
}

void Vcpu::await_turn(Context& context) {
  Actor* actor = context.actor.load();
  while (driver_.load() != &context) {
    actor->sleep();
    // What woke it may have been meant for the driver.
    if (driver_.load() != &context) kick();
  }
  domain().set_runner(index_, actor);
}

Vcpu::Context* Vcpu::finished_waiter() {
  const Nanoseconds now = world().now();
  for (auto waiter = waiters_.begin(); waiter != waiters_.end(); ++waiter) {
    Context* context = *waiter;
    if (!stopping() && !context->awaited->is_set() && now < context->deadline) continue;
    waiters_.erase(waiter);
    return context;
  }
  return nullptr;
}

void Vcpu::hold() {
  hold_wanted_.store(true);
  kick();
}

void Vcpu::let_go() {
  hold_wanted_.store(false);
  kick();
}

void Vcpu::stay_held() {
  const auto kept = [this] { return (hold_wanted_.load() || domain().paused()) && !stopping(); };
  if (!kept()) return;
  held_.store(true);
  while (kept()) Actor::current()->sleep();
  held_.store(false);
}

void Vcpu::move_to(Domain& domain) {
  Domain& former = *domain_.exchange(&domain);
  former.set_runner(index_, nullptr);
  domain.set_runner(index_, driver_.load()->actor.load());
}

void Vcpu::dispatch() {
  stay_held();
  ++dispatch_depth_;
  take_upcalls();
  while (GuestTimer* timer = due_timer()) {
    timer->run();
    take_upcalls();
  }
  --dispatch_depth_;
}

void Vcpu::take_upcalls() {
  const auto pending = [this] {
    vcpu_info_t& info = domain().vcpu_info(index_);
    return domain().upcall_connected(index_) &&
           std::atomic_ref(info.evtchn_upcall_pending).load() != 0 &&
           std::atomic_ref(info.evtchn_upcall_mask).load() == 0;
  };
  while (pending() && !stopping()) {
    Delegate upcall;
    {
      const std::lock_guard lock(mutex_);
      upcall = upcall_;
      in_upcall_.store(static_cast<bool>(upcall));
    }
    if (!upcall) return;
    upcall();
    in_upcall_.store(false);
    // A handler that does not acknowledge must not stop the world.
    if (pending()) Actor::current()->yield();
  }
}

GuestTimer* Vcpu::due_timer() {
  const std::lock_guard lock(mutex_);
  const auto earliest = std::min_element(
      timers_.begin(), timers_.end(),
      [](const GuestTimer* a, const GuestTimer* b) { return a->deadline_ < b->deadline_; });
  if (earliest == timers_.end() || (*earliest)->deadline_ > world().now()) return nullptr;
  GuestTimer* timer = *earliest;
  timers_.erase(earliest);
  timer->running_.store(true);
  return timer;
}

bool Vcpu::job_ready() {
  const std::lock_guard lock(mutex_);
  return std::any_of(jobs_.begin(), jobs_.end(), [](const Job& job) {
    return job.work == nullptr || job.work->idle_.is_set();
  });
}

bool Vcpu::take_job(Job& job) {
  const std::lock_guard lock(mutex_);
  // A work item that waits somewhere does not begin once more before it has ended.
  const auto first = std::find_if(jobs_.begin(), jobs_.end(), [](const Job& queued) {
    return queued.work == nullptr || queued.work->idle_.is_set();
  });
  if (first == jobs_.end()) return false;
  job = std::move(*first);
  jobs_.erase(first);
  if (job.work != nullptr) {
    job.work->queued_ = false;
    job.work->idle_.reset();
  }
  return true;
}

void Vcpu::run_job(Job& job) {
  try {
    if (job.work != nullptr) {
      job.work->run();
    } else {
      job.run();
    }
  } catch (const Stopped&) {
    if (!stopping()) throw;
    locks_held_ = 0;
    dispatch_depth_ = 0;
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

Nanoseconds Vcpu::next_deadline() {
  Nanoseconds next = kForever;
  for (const Context* waiter : waiters_) next = std::min(next, waiter->deadline);
  const std::lock_guard lock(mutex_);
  for (const GuestTimer* timer : timers_) next = std::min(next, timer->deadline_);
  return next;
}

void Vcpu::set_upcall(Delegate upcall) {
  {
    const std::lock_guard lock(mutex_);
    upcall_ = upcall;
  }
  while (!upcall && in_upcall_.load() && !is_current() && Actor::current() != nullptr) {
    Actor::current()->yield();
  }
  kick();
}

void Vcpu::stop() {
  stopping_.store(true);
  kick();
  if (Actor* self = Actor::current()) {
    constexpr Nanoseconds kStep = 10'000;
    while (!all_ended()) self->wait([this] { return all_ended(); }, world().now() + kStep);
    return;
  }
  constexpr Nanoseconds kPatience = 10 * platform::kSecond;
  try {
    if (world().run_until([this] { return all_ended(); }, kPatience)) return;
  } catch (...) {
    // Another actor's failure: this one's end goes on below.
  }
  for (const auto& context : contexts_) {
    if (Actor* actor = context->actor.load()) world().stop(*actor);
  }
}

}  // namespace ringside::sim
