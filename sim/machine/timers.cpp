#include "sim/machine/timers.hpp"

#include <algorithm>
#include <utility>

namespace ringside::sim {

Timers::~Timers() {
  if (actor_ != nullptr) world_.stop(*actor_);
}

void Timers::set(Key key, Nanoseconds when, std::function<void()> fire, Nanoseconds period) {
  const std::lock_guard lock(mutex_);
  timers_[key] = {when, period, std::move(fire)};
  if (actor_ == nullptr) actor_ = &world_.spawn("xen/timers", [this] { run(); });
  actor_->wake();
}

void Timers::stop(Key key) {
  const std::lock_guard lock(mutex_);
  timers_.erase(key);
}

void Timers::stop_all(DomainId domain) {
  const std::lock_guard lock(mutex_);
  std::erase_if(timers_, [&](const auto& timer) { return timer.first.domain == domain; });
}

std::function<void()> Timers::take_due(Nanoseconds& next) {
  const std::lock_guard lock(mutex_);
  next = platform::kForever;
  if (timers_.empty()) return {};
  const auto earliest =
      std::min_element(timers_.begin(), timers_.end(),
                       [](const auto& a, const auto& b) { return a.second.when < b.second.when; });
  Timer& timer = earliest->second;
  const Nanoseconds now = world_.now();
  next = timer.when;
  if (timer.when > now) return {};
  if (timer.period == 0) {
    std::function<void()> fire = std::move(timer.fire);
    timers_.erase(earliest);
    return fire;
  }
  timer.when += ((now - timer.when) / timer.period + 1) * timer.period;
  return timer.fire;
}

void Timers::run() {
  for (;;) {
    Nanoseconds next = 0;
    if (const auto fire = take_due(next)) {
      fire();
    } else {
      Actor::current()->sleep(next);
    }
  }
}

}  // namespace ringside::sim
