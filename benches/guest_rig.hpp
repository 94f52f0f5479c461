#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <map>
#include <string>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/host.hpp"

namespace ringside::benches {

/// A guest with XENBUS on a deterministic host: every crossing runs on one thread, so what
/// is timed is the work of all parties and no scheduler's.
class GuestRig {
 public:
  /// `settings` are what XENBUS finds in its registry.
  explicit GuestRig(const std::map<std::string, uint32_t>& settings = {}, unsigned vcpus = 1)
      : host_(config()), guest_(host_, {.vcpus = vcpus}, nullptr, settings) {
    host_.world().trace().enable(false);
  }

  conformance::Host& host() { return host_; }
  conformance::DriverGuest& guest() { return guest_; }
  xenbus::Services services() { return guest_.services(); }
  platform::Platform& platform() { return guest_.platform(); }

  /// Runs `job`, which holds the timed loop, at passive level of the guest's first vCPU.
  void run(const std::function<void()>& job) { guest_.run(job, 0, kLong); }

  /// Waits, inside the guest, until `event` is set, and resets it; on a time-out the
  /// benchmark ends with an error.
  bool await(platform::Event& event, benchmark::State& state) {
    if (!ok(platform().wait_until(event, platform().now() + platform::kSecond))) {
      state.SkipWithError("the peer did not answer");
      return false;
    }
    event.reset();
    return true;
  }

 private:
  static conformance::HostConfig config() {
    conformance::HostConfig config;
    config.machine.direct_maps = true;
    return config;
  }
  static constexpr platform::Nanoseconds kLong = 100'000 * platform::kSecond;

  conformance::Host host_;
  conformance::DriverGuest guest_;
};

/// Calls `body` until the benchmark's time is over or `body` is false.
template <typename Body>
void timed(benchmark::State& state, Body&& body) {
  for (auto _ : state) {
    if (!body()) break;
  }
}

}  // namespace ringside::benches
