#pragma once

#include <vector>

#include "sim/faults/plan.hpp"
#include "sim/machine/event_channels.hpp"

namespace ringside::sim {

/// Where a deterministic machine's events are late, merged into one, or for a while lost.
///
/// One at a time for each kind; the rest goes through as it comes.
class EventFaults final : public EventGate {
 public:
  /// Stands before all event channels of `machine` until it is destroyed; what it still holds
  /// is then delivered.
  explicit EventFaults(Machine& machine);
  ~EventFaults();
  EventFaults(const EventFaults&) = delete;
  EventFaults& operator=(const EventFaults&) = delete;

  /// Begins a kEventDelay, kEventMerge or kEventLost that ends at now + fault.span.
  void begin(const Fault& fault);
  /// Delivers what is due; when the next event will be, or kForever.
  Nanoseconds release_due();
  /// Called whenever release_due() would answer something earlier than it last did.
  void on_held(std::function<void()> wake) { wake_ = std::move(wake); }

  Verdict judge(Domain& owner, Port port) override;

 private:
  struct Held {
    Nanoseconds due;
    DomainId domain;
    Port port;
  };

  Machine& machine_;
  Random random_;
  Nanoseconds delay_ends_ = 0;
  Nanoseconds merge_ends_ = 0;
  Nanoseconds loss_ends_ = 0;
  uint64_t longest_delay_ = 1;
  std::vector<Held> held_;
  std::function<void()> wake_;
};

}  // namespace ringside::sim
