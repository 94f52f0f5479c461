#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/hypercall.hpp"
#include "sim/machine/machine.hpp"

namespace ringside::sim {

/// A domain that runs drivers: its vCPUs as actors, and the platform they stand on.
///
/// Each vCPU runs one thing at a time: event upcalls and expired timers first, then passive
/// jobs and work items. A passive job that waits lets upcalls, timers and *other* passive
/// jobs of its vCPU run meanwhile, each on a stack of its own.
class Guest {
 public:
  Guest(Machine& machine, Domain& domain);
  /// Stops the vCPUs: waits that still go on answer kTimedOut.
  ~Guest();
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  /// Another one after the guest was restored or migrated.
  Domain& domain();
  platform::Platform& platform();
  xenbus::Hypercall& hypercall();

  /// Queues a passive job on a vCPU. Any thread.
  void post(unsigned cpu, std::function<void()> job);
  /// From outside the actors: posts a job and drives the world until it has returned. False
  /// when it has not within `budget` of world time; it may then still run.
  bool run(unsigned cpu, std::function<void()> job, platform::Nanoseconds budget);

  /// What Platform::setting() answers for `name`.
  void set_setting(std::string name, uint32_t value);
  /// With fewer unused pages than these the guest calls itself low on memory.
  void set_low_memory(size_t pages);
  /// Makes the n-th (from 1) heap or page allocation from now on fail, once; 0 cancels.
  void fail_allocation_at(uint64_t n);
  /// Asks at each heap or page allocation whether it shall fail. Before anything is allocated.
  void fail_allocations_if(std::function<bool()> judge);
  /// Allocations asked for since the guest began.
  uint64_t allocations() const;
  /// The captured log, oldest first, "warning: text".
  std::vector<std::string> log() const;
  /// Also called with each line as it is logged.
  void on_log(std::function<void(platform::LogLevel, std::string_view)> listener);

  /// What the guest has not given back, one line each; also part of Machine::audit().
  std::vector<std::string> audit() const;

 private:
  void live_in(Domain& domain);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringside::sim
