#include "sim/faults/event_gate.hpp"

#include <algorithm>

#include "sim/machine/machine.hpp"

namespace ringside::sim {

EventFaults::EventFaults(Machine& machine)
    : machine_(machine), random_(machine.world().random().fork()) {
  machine_.set_event_gate(this);
}

EventFaults::~EventFaults() {
  machine_.set_event_gate(nullptr);
  for (Held& held : held_) held.due = 0;
  release_due();
}

void EventFaults::begin(const Fault& fault) {
  const Nanoseconds end = machine_.world().now() + fault.span;
  if (fault.kind == FaultKind::kEventMerge) merge_ends_ = end;
  if (fault.kind == FaultKind::kEventLost) loss_ends_ = end;
  if (fault.kind == FaultKind::kEventDelay) {
    delay_ends_ = end;
    longest_delay_ = std::max<uint64_t>(fault.amount, 1);
  }
}

EventGate::Verdict EventFaults::judge(Domain& owner, Port port) {
  const Nanoseconds now = machine_.world().now();
  Nanoseconds due = 0;
  Verdict verdict = Verdict::kHold;
  if (now < loss_ends_) {
    due = loss_ends_;
    verdict = Verdict::kSilent;
  } else if (now < merge_ends_) {
    due = merge_ends_;
  } else if (now < delay_ends_) {
    due = now + 1 + random_.below(longest_delay_);
  } else {
    return Verdict::kPass;
  }
  const bool announced = std::any_of(held_.begin(), held_.end(), [&](const Held& held) {
    return held.domain == owner.id() && held.port == port && held.due == due;
  });
  if (!announced) {
    held_.push_back({due, owner.id(), port});
    if (wake_) wake_();
  }
  return verdict;
}

Nanoseconds EventFaults::release_due() {
  const Nanoseconds now = machine_.world().now();
  std::vector<Held> due;
  Nanoseconds next = platform::kForever;
  std::erase_if(held_, [&](const Held& held) {
    if (held.due > now) {
      next = std::min(next, held.due);
      return false;
    }
    due.push_back(held);
    return true;
  });
  for (const Held& held : due) {
    if (Domain* domain = machine_.find(held.domain)) domain->events().deliver_late(held.port);
  }
  return next;
}

}  // namespace ringside::sim
