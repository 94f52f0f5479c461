#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "conformance/worlds/injector.hpp"
#include "conformance/worlds/scenario.hpp"

namespace ringside::conformance {

/// What became of one world.
struct WorldResult {
  std::vector<std::string> findings;  ///< broken invariants, one line each
  std::string digest;                 ///< over every action on rings, grants, events and store
  Injector::Counts struck{};
  uint64_t frames = 0;    ///< sent and completed as sent
  uint64_t requests = 0;  ///< completed
  uint64_t steps = 0;     ///< of the trace
};

/// The faults that world `seed` has when it is free to choose among `kinds`.
sim::FaultPlan plan_of(uint64_t seed, std::span<const sim::FaultKind> kinds);

/// What a test does to a world besides.
struct Hooks {
  /// Called on the caller's thread once everything has begun.
  std::function<void(Targets&)> meanwhile;
  DriverGuest::Interposer* interposer = nullptr;  ///< of the first guest
};

/// Runs what `scenario` says on a host of its own. In a threaded one the plan must be empty.
WorldResult run_scenario(const Scenario& scenario, const HostConfig& config,
                         const sim::FaultPlan& plan, const Hooks& hooks = {});

/// The host of world `seed`.
HostConfig host_config(uint64_t seed);

/// Runs one world to its end: guests, devices and traffic drawn from the seed, the faults of
/// `plan`, then the invariants. Throws what the rig throws; a broken assertion aborts.
WorldResult run_world(uint64_t seed, const sim::FaultPlan& plan);

}  // namespace ringside::conformance
