#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

#include "sim/machine/event_channels.hpp"
#include "sim/world/world.hpp"

namespace ringside::sim {

/// What Xen does at some time of the world. An actor waits for it, from the first timer on.
/// Thread-safe.
class Timers {
 public:
  enum class Kind : uint8_t { kWatchdog, kPeriodic, kSingle };
  struct Key {
    DomainId domain = 0;
    Kind kind = Kind::kSingle;
    unsigned index = 0;  ///< of the watchdog, or of the vCPU
    auto operator<=>(const Key&) const = default;
  };

  explicit Timers(World& world) : world_(world) {}
  ~Timers();
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  /// Calls `fire` at `when` instead of what was set before; with a period again and again, what
  /// was missed left out.
  void set(Key key, Nanoseconds when, std::function<void()> fire, Nanoseconds period = 0);
  void stop(Key key);
  void stop_all(DomainId domain);

 private:
  struct Timer {
    Nanoseconds when = 0;
    Nanoseconds period = 0;
    std::function<void()> fire;
  };

  void run();
  std::function<void()> take_due(Nanoseconds& next);

  World& world_;
  std::mutex mutex_;  // guards the rest
  std::map<Key, Timer> timers_;
  Actor* actor_ = nullptr;
};

}  // namespace ringside::sim
