#include <gtest/gtest.h>

#include "sim/machine/xen_rig_test.hpp"

namespace ringside::sim {
namespace {

class VcpuOpsTest : public testing::Test {
 protected:
  int64_t plain(unsigned command, uint64_t vcpu = 0, uint64_t argument = 0) {
    return xen_.call(__HYPERVISOR_vcpu_op, command, vcpu, argument);
  }
  int64_t place_info(uint64_t gfn, uint32_t offset, unsigned vcpu = 0) {
    vcpu_register_vcpu_info_t op{.mfn = gfn, .offset = offset, .rsvd = 0};
    return xen_.vcpu_op(VCPUOP_register_vcpu_info, op, vcpu);
  }
  Port timer_port(unsigned vcpu) {
    return static_cast<Port>(xen_.guest.events().bind_virq(VIRQ_TIMER, vcpu));
  }

  XenRig xen_;
  uint64_t page_ = xen_.guest.allocate_pages()[0];
};

TEST_F(VcpuOpsTest, WhichVcpuAndWhichCommand) {
  EXPECT_EQ(plain(VCPUOP_is_up, 1), 1);
  EXPECT_EQ(plain(VCPUOP_up, 1), 0);
  EXPECT_EQ(plain(VCPUOP_is_up, 2), -XEN_ENOENT);
  EXPECT_EQ(plain(VCPUOP_get_physid), -XEN_EINVAL);
  EXPECT_EQ(plain(99), -XEN_ENOSYS);
  for (const unsigned command :
       {VCPUOP_get_runstate_info, VCPUOP_register_runstate_memory_area, VCPUOP_set_periodic_timer,
        VCPUOP_set_singleshot_timer, VCPUOP_register_vcpu_info,
        VCPUOP_register_vcpu_time_memory_area}) {
    EXPECT_EQ(plain(command), -XEN_EFAULT) << command;
    EXPECT_EQ(plain(command, 0, kNoAddress), -XEN_EFAULT) << command;
  }
}

TEST_F(VcpuOpsTest, AReleaseLetsHvmGuestsHaveSome) {
  struct Row {
    unsigned command;
    const char* last_without;
    const char* first_with;
  };
  for (const Row& row : {Row{VCPUOP_is_up, "4.6", "4.7"},
                         {VCPUOP_stop_periodic_timer, "4.0", "4.1"},
                         {VCPUOP_stop_singleshot_timer, "4.0", "4.1"},
                         {VCPUOP_register_vcpu_info, "4.1", "4.2"},
                         {VCPUOP_register_vcpu_time_memory_area, "4.2", "4.3"}}) {
    EXPECT_EQ(XenRig(row.last_without).call(__HYPERVISOR_vcpu_op, row.command), -XEN_ENOSYS);
    EXPECT_NE(XenRig(row.first_with).call(__HYPERVISOR_vcpu_op, row.command), -XEN_ENOSYS);
  }
  EXPECT_EQ(XenRig("3.4").call(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info), -XEN_EFAULT);
  XenRig old("3.4");
  EXPECT_EQ(old.machine.hypercall(old.machine.dom0(), 0, __HYPERVISOR_vcpu_op, VCPUOP_is_up), 1)
      << "dom0 is no HVM guest";
}

TEST_F(VcpuOpsTest, AnInfoIsPlacedOnce) {
  xen_.guest.vcpu_info(0).evtchn_upcall_mask = 1;
  EXPECT_EQ(place_info(page_, 128), 0);
  EXPECT_EQ(reinterpret_cast<std::byte*>(&xen_.guest.vcpu_info(0)),
            xen_.guest.page_address(page_) + 128);
  EXPECT_EQ(xen_.guest.vcpu_info(0).evtchn_upcall_mask, 1);
  EXPECT_EQ(xen_.guest.vcpu_info(0).evtchn_pending_sel, ~0ul);
  EXPECT_EQ(place_info(page_, 256), -XEN_EINVAL);
  EXPECT_EQ(place_info(page_, 256, 1), -XEN_EINVAL) << "another vCPU that is up";
}

TEST_F(VcpuOpsTest, WhereAnInfoCannotBe) {
  EXPECT_EQ(place_info(page_, kPageSize - sizeof(vcpu_info_t) + 8), -XEN_ENXIO);
  EXPECT_EQ(place_info(page_, 4), -XEN_ENXIO);
  EXPECT_EQ(place_info(1 << 20, 0), -XEN_EINVAL) << "no such page";
  EXPECT_EQ(place_info(page_, 0), 0) << "a failure does not count";
  XenRig old("4.13");
  vcpu_register_vcpu_info_t op{.mfn = old.guest.allocate_pages()[0], .offset = 4090, .rsvd = 0};
  EXPECT_EQ(old.vcpu_op(VCPUOP_register_vcpu_info, op), -XEN_EINVAL);
}

TEST_F(VcpuOpsTest, ASingleTimerFiresOnce) {
  const Port port = timer_port(0);
  vcpu_set_singleshot_timer_t op{};
  op.timeout_abs_ns = xen_.world->now() + 5 * platform::kMillisecond;
  EXPECT_EQ(xen_.vcpu_op(VCPUOP_set_singleshot_timer, op), 0);
  xen_.pass(4 * platform::kMillisecond);
  EXPECT_FALSE(xen_.guest.events().pending(port));
  xen_.pass(2 * platform::kMillisecond);
  EXPECT_TRUE(xen_.guest.events().take_pending(port));
  xen_.pass(20 * platform::kMillisecond);
  EXPECT_FALSE(xen_.guest.events().pending(port));
}

TEST_F(VcpuOpsTest, ASingleTimerIsMovedAndStopped) {
  const Port port = timer_port(0);
  vcpu_set_singleshot_timer_t op{};
  for (const unsigned ms : {5, 50}) {
    op.timeout_abs_ns = xen_.world->now() + ms * platform::kMillisecond;
    EXPECT_EQ(xen_.vcpu_op(VCPUOP_set_singleshot_timer, op), 0);
  }
  xen_.pass(20 * platform::kMillisecond);
  EXPECT_FALSE(xen_.guest.events().pending(port));
  EXPECT_EQ(plain(VCPUOP_stop_singleshot_timer), 0);
  xen_.pass(100 * platform::kMillisecond);
  EXPECT_FALSE(xen_.guest.events().pending(port));
}

TEST_F(VcpuOpsTest, ASingleTimerIsTheVcpusOwnAndMayInsistOnTheFuture) {
  vcpu_set_singleshot_timer_t op{};
  op.timeout_abs_ns = xen_.world->now() - 1;
  EXPECT_EQ(xen_.vcpu_op(VCPUOP_set_singleshot_timer, op, 1), -XEN_EINVAL);
  EXPECT_EQ(plain(VCPUOP_stop_singleshot_timer, 1), -XEN_EINVAL);
  op.flags = VCPU_SSHOTTMR_future;
  EXPECT_EQ(xen_.vcpu_op(VCPUOP_set_singleshot_timer, op), -XEN_ETIME);
  op.flags = 0;
  const Port port = timer_port(0);
  EXPECT_EQ(xen_.vcpu_op(VCPUOP_set_singleshot_timer, op), 0);
  xen_.pass(platform::kMillisecond);
  EXPECT_TRUE(xen_.guest.events().pending(port)) << "at once";
}

TEST_F(VcpuOpsTest, APeriodicTimerGoesOn) {
  const Port port = timer_port(1);
  const Port first = timer_port(0);
  vcpu_set_periodic_timer_t op{.period_ns = 10 * platform::kMillisecond};
  EXPECT_EQ(xen_.vcpu_op(VCPUOP_set_periodic_timer, op, 1), 0);
  for (int tick = 0; tick < 3; ++tick) {
    xen_.pass(10 * platform::kMillisecond + 1000);
    EXPECT_TRUE(xen_.guest.events().take_pending(port)) << tick;
  }
  EXPECT_FALSE(xen_.guest.events().pending(first)) << "another vCPU's";
  EXPECT_EQ(plain(VCPUOP_stop_periodic_timer, 1), 0);
  xen_.pass(50 * platform::kMillisecond);
  EXPECT_FALSE(xen_.guest.events().pending(port));
}

TEST_F(VcpuOpsTest, PeriodsHaveLimits) {
  for (const uint64_t period : {uint64_t{0}, platform::kMillisecond - 1, ~uint64_t{0}}) {
    vcpu_set_periodic_timer_t op{.period_ns = period};
    EXPECT_EQ(xen_.vcpu_op(VCPUOP_set_periodic_timer, op), -XEN_EINVAL) << period;
  }
}

TEST_F(VcpuOpsTest, TheRunstateAddsUpToTheTimeThatPassed) {
  xen_.pass(platform::kSecond);
  vcpu_runstate_info_t info{};
  EXPECT_EQ(xen_.vcpu_op(VCPUOP_get_runstate_info, info, 1), 0);
  EXPECT_EQ(info.state, RUNSTATE_running);
  EXPECT_EQ(info.time[0] + info.time[1] + info.time[2] + info.time[3],
            xen_.world->now() - xen_.guest.created());
  EXPECT_GE(info.time[RUNSTATE_running], platform::kSecond);
}

TEST_F(VcpuOpsTest, AreasAreFilledAtTheirRegistration) {
  vcpu_runstate_info_t state{};
  state.state = 77;
  vcpu_register_runstate_memory_area_t runstate{};
  runstate.addr.v = &state;
  EXPECT_EQ(xen_.vcpu_op(VCPUOP_register_runstate_memory_area, runstate), 0);
  EXPECT_EQ(state.state, RUNSTATE_running);
  runstate.addr.p = kNoAddress;
  EXPECT_EQ(xen_.vcpu_op(VCPUOP_register_runstate_memory_area, runstate), -XEN_EFAULT);
  xen_.guest.vcpu_info(0).time.version = 4;
  vcpu_time_info_t time{};
  vcpu_register_time_memory_area_t area{};
  area.addr.v = &time;
  EXPECT_EQ(xen_.vcpu_op(VCPUOP_register_vcpu_time_memory_area, area), 0);
  EXPECT_EQ(time.version, 4u);
  area.addr.p = kNoAddress;
  EXPECT_EQ(xen_.vcpu_op(VCPUOP_register_vcpu_time_memory_area, area), -XEN_EFAULT);
}

}  // namespace
}  // namespace ringside::sim
