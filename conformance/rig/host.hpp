#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "conformance/rig/options.hpp"
#include "conformance/rig/xen.hpp"
#include "sim/machine/machine.hpp"
#include "sim/toolstack/toolstack.hpp"
#include "sim/world/world.hpp"
#include "sim/xenstore/xenstored.hpp"

namespace ringside::conformance {

/// The rig itself could not be brought up or down: an ERROR, no verdict on a driver.
class RigError : public std::runtime_error {
 public:
  explicit RigError(const std::string& what);
};

/// Something was to happen and did not: a verdict, not a fault of the rig.
class Stuck : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct HostConfig {
  uint64_t seed = options().seed;
  bool threaded = false;  ///< real threads and time instead of one seeded world
  sim::MachineConfig machine = machine_of_chosen_xen();
  /// Makes another store daemon than the embedded one; with `threaded` only.
  std::function<std::unique_ptr<sim::StoreDaemon>(sim::Machine&)> store = {};
};

/// A whole simulated Xen host: world, machine, xenstored and toolstack.
///
/// Guests and back ends on it must be destroyed before it.
class Host {
 public:
  static constexpr sim::Nanoseconds kPatience = 60 * platform::kSecond;

  explicit Host(const HostConfig& config = {});
  /// Another host of the world of `neighbour`, to which its guests can migrate.
  Host(Host& neighbour, const sim::MachineConfig& machine);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  sim::World& world() { return *world_; }
  sim::Machine& machine() { return *machine_; }
  /// Precondition: the store is the embedded one.
  sim::Xenstored& xenstored() { return dynamic_cast<sim::Xenstored&>(*store_); }
  sim::Toolstack& toolstack() { return *toolstack_; }

  /// Lets the world run until `done` holds; false when it does not within `budget` of world
  /// time. From outside the actors.
  bool run_until(const std::function<bool()>& done, sim::Nanoseconds budget = kPatience);
  /// As run_until(), but a time-out throws Stuck, which names `what`.
  void require(const std::string& what, const std::function<bool()>& done,
               sim::Nanoseconds budget = kPatience);
  /// Lets `span` of world time pass.
  void pass(sim::Nanoseconds span);

  /// The invariants at the end of a world: what is leaked, still granted, mapped or open, one
  /// line each; empty when all is clean. For when guests and back ends are gone: it takes
  /// toolstack and xenstored down first.
  std::vector<std::string> audit();

 private:
  std::shared_ptr<sim::World> world_;
  std::unique_ptr<sim::Machine> machine_;
  std::unique_ptr<sim::StoreDaemon> store_;
  std::unique_ptr<sim::Toolstack> toolstack_;
};

}  // namespace ringside::conformance
