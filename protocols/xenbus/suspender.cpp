#include "protocols/xenbus/suspender.hpp"

#include <utility>

namespace ringside::xenbus {

class Suspender::Callback final : public SuspendCallback {
 public:
  Callback(Suspender& suspender, SuspendPhase when, Delegate callback)
      : phase(when), run(callback), owner_(suspender) {}

  void destroy() override {
    owner_.remove(*this);
    const platform::Box<Callback> last = std::move(self);
  }

  SuspendPhase phase;
  Delegate run;
  uint32_t served = 0;  ///< the resume after which it ran last
  Callback* next = nullptr;
  platform::Box<Callback> self;

 private:
  Suspender& owner_;
};

Suspender::~Suspender() {
  if (callbacks_ == nullptr) return;
  platform_.log(platform::LogLevel::kError, "suspend callbacks are still registered");
}

Status Suspender::start() {
  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  auto idle = platform_.create_event();
  if (!idle) return idle.status();
  auto free = platform_.create_event();
  if (!free) return free.status();
  lock_ = *std::move(lock);
  idle_ = *std::move(idle);
  free_ = *std::move(free);
  idle_->signal();
  free_->signal();
  return Status::kOk;
}

Result<Owned<SuspendCallback>> Suspender::add(SuspendPhase phase, Delegate callback) {
  auto box = platform::Box<Callback>::create(platform_, *this, phase, callback);
  if (!box) return box.status();
  Callback& added = **box;
  added.self = *std::move(box);
  const platform::LockGuard guard(*lock_);
  added.served = count_.load();
  Callback** end = &callbacks_;
  while (*end != nullptr) end = &(*end)->next;
  *end = &added;
  return Owned<SuspendCallback>(&added);
}

void Suspender::remove(Callback& callback) {
  {
    const platform::LockGuard guard(*lock_);
    Callback** link = &callbacks_;
    while (*link != &callback) link = &(*link)->next;
    *link = callback.next;
  }
  for (;;) {
    {
      const platform::LockGuard guard(*lock_);
      if (running_ != &callback) return;
    }
    (void)platform_.wait_until(*idle_, platform_.now() + platform::kMillisecond);
  }
}

bool Suspender::hold_off(Delegate over) {
  const platform::LockGuard guard(*lock_);
  if (busy_.load()) {
    over_ = over;
    return false;
  }
  held_ = true;
  free_->reset();
  return true;
}

void Suspender::let_go() {
  const platform::LockGuard guard(*lock_);
  held_ = false;
  free_->signal();
}

void Suspender::forget_hold() {
  const platform::LockGuard guard(*lock_);
  over_ = {};
}

Result<SuspendOutcome> Suspender::trigger() {
  {
    const platform::LockGuard guard(*lock_);
    if (busy_.exchange(true)) return Status::kBusy;
  }
  // Nobody holds it off anew from here on.
  while (held()) (void)platform_.wait_until(*free_, platform::kForever);
  const Status alone = platform_.run_alone(Delegate::to<&Suspender::suspend_alone>(*this));
  const Result<bool> result = ok(alone) ? result_ : Result<bool>(alone);
  if (result && *result) run_late();
  {
    const platform::LockGuard guard(*lock_);
    busy_.store(false);
    if (const Delegate over = std::exchange(over_, {})) over();
  }
  if (!result) return result.status();
  return *result ? SuspendOutcome::kResumed : SuspendOutcome::kCancelled;
}

bool Suspender::held() const {
  const platform::LockGuard guard(*lock_);
  return held_;
}

void Suspender::suspend_alone() {
  result_ = xen_.suspend();
  // CONTROL-003: after a cancelled suspend all is as it was.
  if (!result_ || !*result_) return;
  count_.fetch_add(1);
  // CONTROL-004: nobody runs yet who could use what is not there any more. The list needs no
  // lock: no CPU was held inside of one.
  for (Callback* one = callbacks_; one != nullptr; one = one->next) {
    if (one->phase == SuspendPhase::kEarly) one->run();
  }
}

void Suspender::run_late() {
  while (Callback* callback = next_late()) {
    callback->run();
    const platform::LockGuard guard(*lock_);
    running_ = nullptr;
    idle_->signal();
  }
}

Suspender::Callback* Suspender::next_late() {
  const platform::LockGuard guard(*lock_);
  const uint32_t resume = count_.load();
  Callback* next = callbacks_;
  while (next != nullptr && (next->phase != SuspendPhase::kLate || next->served == resume)) {
    next = next->next;
  }
  if (next == nullptr) return nullptr;
  next->served = resume;
  running_ = next;
  idle_->reset();
  return next;
}

}  // namespace ringside::xenbus
