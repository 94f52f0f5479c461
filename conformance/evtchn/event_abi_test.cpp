#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/host.hpp"
#include "conformance/rig/migration.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/xenbus/suspend_agent.hpp"

namespace ringside::conformance {
namespace {

/// A Xen that answers some event channel operations otherwise.
class OtherXen final : public DriverGuest::Interposer, private xenbus::Hypercall {
 public:
  /// Before XENBUS starts, in the guest's name.
  std::function<void(sim::Guest&)> at_first;
  /// Asked at each event channel operation; an answer keeps it from Xen.
  std::function<std::optional<int64_t>(uint64_t command, uint64_t argument)> answer;
  unsigned resets = 0;

 private:
  void enter(sim::Guest& guest) override {
    if (at_first) at_first(guest);
  }
  xenbus::Hypercall& hypercall(xenbus::Hypercall& real) override {
    real_ = &real;
    return *this;
  }
  xenbus::Services services(const xenbus::Services& real) override { return real; }
  int64_t call(unsigned number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
               uint64_t a5) override {
    if (number == __HYPERVISOR_event_channel_op) {
      if (a1 == EVTCHNOP_reset) ++resets;
      if (answer) {
        if (const auto given = answer(a1, a2)) return *given;
      }
    }
    return real_->call(number, a1, a2, a3, a4, a5);
  }

  xenbus::Hypercall* real_ = nullptr;
};

/// The store answers, and an event from dom0 arrives on each CPU.
void expect_alive(Host& host, DriverGuest& guest) {
  for (unsigned cpu = 0; cpu < guest.bus().events().cpus(); ++cpu) {
    int fires = 0;
    Owned<xenbus::EventChannel> channel;
    guest.run([&] {
      EXPECT_TRUE(guest.services().store.read(xenbus::kNoTransaction, "name"));
      channel = *guest.services().events.open_unbound(
          0, {[](void* count) { ++*static_cast<int*>(count); }, &fires}, cpu);
    });
    sim::EventChannels& dom0 = host.machine().dom0().events();
    const int64_t port = dom0.bind_interdomain(guest.domid(), channel->port());
    host.pass(platform::kMillisecond);
    fires = 0;
    EXPECT_EQ(dom0.send(static_cast<sim::Port>(port)), 0);
    host.pass(platform::kMillisecond);
    EXPECT_EQ(fires, 1) << "CPU " << cpu;
    guest.run([&] { channel.reset(); });
    (void)dom0.close(static_cast<sim::Port>(port));
  }
}

TEST(EventAbiTest, EVTCHN_002_PortsBeyondTwoLevelsCanBeUsed) {
  if (const auto why = chosen_xen_lacks(sim::XenFeature::kFifoEvents)) GTEST_SKIP() << *why;
  HostConfig config;
  config.machine.max_ports = 8192;
  Host host(config);
  DriverGuest guest(host);
  std::vector<Owned<xenbus::EventChannel>> channels;
  unsigned fires = 0;
  guest.run([&] {
    for (unsigned i = 0; i < 5000; ++i) {
      auto channel = guest.services().events.open_unbound(
          0, {[](void* count) { ++*static_cast<unsigned*>(count); }, &fires}, 0);
      ASSERT_TRUE(channel);
      channels.push_back(*std::move(channel));
    }
  });
  const sim::Port last = channels.back()->port();
  EXPECT_GT(last, sim::EventChannels::kTwoLevelPorts);
  host.pass(platform::kMillisecond);
  fires = 0;
  guest.run([&] { channels.back()->trigger(); });
  host.pass(platform::kMillisecond);
  EXPECT_EQ(fires, 1u);
  guest.run([&] { channels.clear(); });
  EXPECT_EQ(guest.shut_down(), std::vector<std::string>{});
}

TEST(EventAbiTest, EVTCHN_002_APortNobodyOpenedIsMasked) {
  if (const auto why = chosen_xen_lacks(sim::XenFeature::kFifoEvents)) GTEST_SKIP() << *why;
  Host host;
  DriverGuest guest(host);
  ASSERT_TRUE(guest.bus().events().uses_fifo());
  sim::EventChannels& events = guest.domain().events();
  for (sim::Port port = 1; port < 1024; ++port) {
    if (!events.open(port)) {
      EXPECT_TRUE(events.masked(port)) << port;
    }
  }
}

TEST(EventAbiTest, ASettingChoosesTwoLevels) {
  Host host;
  DriverGuest guest(host, {.vcpus = 2}, nullptr, {{"UseEvtchnFifoAbi", 0}});
  EXPECT_FALSE(guest.bus().events().uses_fifo());
  expect_alive(host, guest);
}

TEST(EventAbiTest, WhatAnEarlierDriverLeftInForceIsUndone) {
  if (const auto why = chosen_xen_lacks(sim::XenFeature::kFifoEvents)) GTEST_SKIP() << *why;
  Host host;
  OtherXen xen;
  xen.at_first = [](sim::Guest& guest) {
    evtchn_init_control control{};
    control.control_gfn = guest.domain().allocate_pages()[0];
    ASSERT_EQ(guest.hypercall().call(__HYPERVISOR_event_channel_op, EVTCHNOP_init_control,
                                     reinterpret_cast<uintptr_t>(&control)),
              0);
  };
  DriverGuest guest(host, {.vcpus = 2}, &xen);
  EXPECT_TRUE(guest.bus().events().uses_fifo());
  EXPECT_EQ(xen.resets, 1u);
  expect_alive(host, guest);
}

/// Half of the CPUs have a control block when Xen says no: only a reset gets them out of FIFO,
/// and the store's and the console's ports with them.
TEST(EventAbiTest, AFifoThatFailsHalfwayFallsBackWithStoreAndConsoleBoundAgain) {
  if (const auto why = chosen_xen_lacks(sim::XenFeature::kFifoEvents)) GTEST_SKIP() << *why;
  Host host;
  OtherXen xen;
  xen.answer = [](uint64_t command, uint64_t argument) -> std::optional<int64_t> {
    if (command != EVTCHNOP_init_control) return std::nullopt;
    const auto& control = *reinterpret_cast<const evtchn_init_control*>(argument);
    if (control.vcpu != 1) return std::nullopt;
    return -XEN_ENOMEM;
  };
  DriverGuest guest(host, {.vcpus = 2}, &xen);
  EXPECT_FALSE(guest.bus().events().uses_fifo());
  EXPECT_EQ(xen.resets, 2u) << "it was tried once more from the start";
  expect_alive(host, guest);
  const auto console = static_cast<sim::Port>(guest.domain().hvm_param(HVM_PARAM_CONSOLE_EVTCHN));
  EXPECT_TRUE(guest.domain().events().open(console));
}

TEST(EventAbiTest, ALeavingDriverTakesItsPagesBackAndAnotherCanStart) {
  if (const auto why = chosen_xen_lacks(sim::XenFeature::kFifoEvents)) GTEST_SKIP() << *why;
  Host host;
  DriverGuest guest(host);
  EXPECT_EQ(guest.shut_down(), std::vector<std::string>{});
  platform::Box<xenbus::Bus> next;
  guest.run([&] {
    auto bus = xenbus::Bus::create(guest.platform(), guest.guest().hypercall());
    ASSERT_TRUE(bus) << to_string(bus.status());
    next = *std::move(bus);
    EXPECT_TRUE(next->events().uses_fifo());
    EXPECT_TRUE(next->store().read(xenbus::kNoTransaction, "name"));
    [[maybe_unused]] const auto last = std::move(next);
  });
}

TEST(EventAbiTest, AMigrationMayTakeTheAbiAwayAndBringItBack) {
  if (const auto why = chosen_xen_lacks(sim::XenFeature::kFifoEvents)) GTEST_SKIP() << *why;
  Host host;
  OtherXen xen;
  bool old = false;
  xen.answer = [&old](uint64_t command, uint64_t) -> std::optional<int64_t> {
    if (old && command >= EVTCHNOP_init_control) return -XEN_ENOSYS;
    return std::nullopt;
  };
  DriverGuest guest(host, {.vcpus = 2}, &xen);
  ASSERT_TRUE(guest.bus().events().uses_fifo());
  platform::Box<xenbus::SuspendAgent> agent;
  guest.run([&] { agent = *xenbus::SuspendAgent::create(guest.services()); });
  for (const bool next : {true, false, false, true}) {
    old = next;
    suspend(guest);
    restore(guest, {}, [](uint16_t) {});
    EXPECT_EQ(guest.bus().events().uses_fifo(), !old);
    expect_alive(host, guest);
  }
  guest.run([&] { agent = {}; });
}

TEST(EventUpcallTest, WithoutVectorsAllEventsComeToTheFirstCpu) {
  HostConfig config;
  config.machine.upcall_vector = false;
  Host host(config);
  DriverGuest guest(host, {.vcpus = 4});
  EXPECT_EQ(guest.bus().events().cpus(), 1u);
  guest.run([&] {
    EXPECT_EQ(guest.services().events.open_unbound(0, {}, 1).status(), Status::kInvalidArgument);
  });
  EXPECT_NE(guest.domain().hvm_param(HVM_PARAM_CALLBACK_IRQ), 0u);
  expect_alive(host, guest);
}

TEST(EventUpcallTest, ASettingChoosesTheLine) {
  Host host;
  DriverGuest guest(host, {.vcpus = 2}, nullptr, {{"UseEvtchnUpcall", 0}});
  EXPECT_EQ(guest.bus().events().cpus(), 1u);
  expect_alive(host, guest);
}

TEST(EventUpcallTest, EachCpuHasItsVector) {
  if (const auto why = chosen_xen_lacks(sim::XenFeature::kUpcallVector)) GTEST_SKIP() << *why;
  Host host;
  DriverGuest guest(host, {.vcpus = 4});
  EXPECT_EQ(guest.bus().events().cpus(), 4u);
  EXPECT_EQ(guest.domain().hvm_param(HVM_PARAM_CALLBACK_IRQ), 0u);
  expect_alive(host, guest);
}

}  // namespace
}  // namespace ringside::conformance
