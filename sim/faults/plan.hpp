#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/world/random.hpp"
#include "sim/world/world.hpp"

namespace ringside::sim {

/// What can go wrong in a world. A new kind needs a row in plan.cpp and whoever carries it out.
enum class FaultKind : uint8_t {
  kEventDelay,    ///< each event arrives up to `amount` ns late
  kEventMerge,    ///< events arrive at the end of the span, many as one
  kEventLost,     ///< pending, but nobody is told before the span ends
  kBackendCrash,  ///< back end `target` dies; another takes its place after the span
  kBackendSlow,   ///< each turn of back end `target` comes `amount` ns late
  kBackendStuck,  ///< back end `target` does nothing during the span
  kStoreStuck,    ///< xenstored does nothing during the span
  kStoreReset,    ///< xenstored gives up the connection of guest `target`
  kAllocation,    ///< in guest `target`, the `amount`-th allocation from then on fails
  kGrantsTaken,   ///< guest `target` has no grant reference left during the span
  kPortsTaken,    ///< guest `target` has no event channel left during the span
  kRingGarbage,   ///< the peer writes garbage into the ring pages of device `target`
  kTornMemory,    ///< the peer changes the ring pages of device `target` to and fro
  kSuspend,       ///< guest `target` is suspended, and goes on where it was after the span
  kMigration,     ///< guest `target` is suspended and goes on elsewhere; `amount` draws where
  kSave,          ///< the same, but meanwhile it is nowhere: its image waits for the span
  kPowerCut,  ///< all disks forget what was not flushed; back end `target` is back after the span
};
inline constexpr size_t kFaultKinds = 17;

/// The kind's name in plans and on the command line: "event-delay".
std::string_view to_string(FaultKind kind);
std::optional<FaultKind> fault_kind(std::string_view name);

/// One fault: what, when, where. Times in nanoseconds, `at` from the start of the traffic.
struct Fault {
  FaultKind kind = FaultKind::kEventDelay;
  Nanoseconds at = 0;
  Nanoseconds span = 0;
  unsigned target = 0;  ///< which one, modulo how many the world has
  uint64_t amount = 0;  ///< what the kind makes of it

  bool operator==(const Fault&) const = default;
};

/// All that goes wrong in one world, as data: printed, parsed back, cut down, replayed.
using FaultPlan = std::vector<Fault>;

/// "event-delay@1200+30000#0x500": kind, at, span, target, amount; joined by ','. The empty
/// plan is "none".
std::string to_string(const Fault& fault);
std::string to_string(std::span<const Fault> plan);
/// Nothing when `text` is not what to_string() writes.
std::optional<FaultPlan> parse_plan(std::string_view text);

/// A plan of up to `most` faults of the given kinds within `horizon` of world time, in the
/// order in which they strike.
FaultPlan draw_plan(Random& random, std::span<const FaultKind> kinds, size_t most,
                    Nanoseconds horizon);

/// All kinds, in the enumeration's order.
std::span<const FaultKind> all_fault_kinds();

}  // namespace ringside::sim
