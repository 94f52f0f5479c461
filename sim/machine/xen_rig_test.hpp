#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string_view>

#include "sim/machine/machine.hpp"
#include "sim/machine/profiles.hpp"
#include "sim/machine/xen_errno.hpp"

namespace ringside::sim {

/// A machine of some release with two guests; its calls are made from outside the actors unless
/// from_vcpu() makes them.
class XenRig {
 public:
  explicit XenRig(std::string_view release = "4.17")
      : world(World::deterministic(1)),
        machine(*world, on_xen(*find_xen_profile(release), {.frames = 4096})),
        guest(machine.create_domain({.name = "guest", .vcpus = 2, .max_pages = 64})),
        other(machine.create_domain({.name = "other", .max_pages = 64})) {}

  int64_t call(unsigned number, unsigned command, uint64_t a2 = 0, uint64_t a3 = 0) {
    return machine.hypercall(guest, 0, number, command, a2, a3);
  }
  template <typename T>
  int64_t call_with(unsigned number, unsigned command, T& argument) {
    return call_as(guest, number, command, argument);
  }
  template <typename T>
  int64_t call_as(Domain& domain, unsigned number, unsigned command, T& argument) {
    return machine.hypercall(domain, 0, number, command, reinterpret_cast<uint64_t>(&argument));
  }
  template <typename T>
  int64_t vcpu_op(unsigned command, T& argument, unsigned vcpu = 0) {
    return call(__HYPERVISOR_vcpu_op, command, vcpu, reinterpret_cast<uint64_t>(&argument));
  }
  /// Runs `body` as the guest's first vCPU.
  Actor& from_vcpu(std::function<void()> body) {
    Actor& actor = world->spawn("guest/vcpu0", std::move(body), {.domain = guest.id(), .vcpu = 0});
    guest.set_runner(0, &actor);
    return actor;
  }
  /// Also when nothing happens: somebody has to wait for time to go on.
  void pass(Nanoseconds span) {
    const Nanoseconds end = world->now() + span;
    world->spawn("clock", [this, end] {
      while (world->now() < end) Actor::current()->sleep(end);
    });
    EXPECT_TRUE(world->run_until([&] { return world->now() >= end; }, 2 * span));
  }

  std::unique_ptr<World> world;
  Machine machine;
  Domain& guest;
  Domain& other;
};

constexpr uint64_t kNoAddress = uint64_t{1} << 60;

}  // namespace ringside::sim
