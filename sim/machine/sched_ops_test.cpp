#include <gtest/gtest.h>

#include <optional>

#include "sim/machine/xen_rig_test.hpp"

namespace ringside::sim {
namespace {

constexpr Nanoseconds kSecond = platform::kSecond;

class SchedOpsTest : public testing::Test {
 protected:
  template <typename T>
  int64_t op(unsigned command, T argument) {
    return xen_.call_with(__HYPERVISOR_sched_op, command, argument);
  }
  int64_t watchdog(uint32_t id, uint32_t seconds) {
    return op(SCHEDOP_watchdog, sched_watchdog_t{id, seconds});
  }
  int64_t poll(std::vector<evtchn_port_t> ports, uint64_t timeout = 0) {
    sched_poll_t op{};
    op.ports.p = ports.data();
    op.nr_ports = static_cast<unsigned>(ports.size());
    op.timeout = timeout;
    return xen_.call_with(__HYPERVISOR_sched_op, SCHEDOP_poll, op);
  }
  Port open() { return static_cast<Port>(xen_.guest.events().bind_ipi(0)); }
  /// Until the vCPU has got its answer.
  bool answered(Nanoseconds within = kSecond) {
    return xen_.world->run_until([this] { return answer_.has_value(); }, within);
  }

  XenRig xen_;
  std::optional<int64_t> answer_;
};

TEST_F(SchedOpsTest, UnknownOnesAndWrongAddresses) {
  EXPECT_EQ(xen_.call(__HYPERVISOR_sched_op, 99), -XEN_ENOSYS);
  EXPECT_EQ(xen_.call(__HYPERVISOR_sched_op, SCHEDOP_pin_override), -XEN_ENOSYS);
  for (const unsigned command : {SCHEDOP_shutdown, SCHEDOP_poll, SCHEDOP_remote_shutdown,
                                 SCHEDOP_shutdown_code, SCHEDOP_watchdog}) {
    EXPECT_EQ(xen_.call(__HYPERVISOR_sched_op, command), -XEN_EFAULT) << command;
    EXPECT_EQ(xen_.call(__HYPERVISOR_sched_op, command, kNoAddress), -XEN_EFAULT) << command;
  }
}

TEST_F(SchedOpsTest, AWatchdogNobodyPokesShutsTheDomainDown) {
  ASSERT_EQ(watchdog(0, 10), 1);
  xen_.pass(9 * kSecond);
  EXPECT_EQ(watchdog(1, 10), 0);
  xen_.pass(9 * kSecond);
  EXPECT_FALSE(xen_.guest.shutdown_reason());
  xen_.pass(2 * kSecond);
  EXPECT_EQ(xen_.guest.shutdown_reason(), SHUTDOWN_watchdog);
  EXPECT_FALSE(xen_.other.shutdown_reason());
}

TEST_F(SchedOpsTest, AWatchdogEndsWithoutATimeout) {
  ASSERT_EQ(watchdog(0, 10), 1);
  EXPECT_EQ(watchdog(1, 0), 0);
  EXPECT_EQ(watchdog(1, 0), -XEN_EINVAL) << "it is gone";
  xen_.pass(20 * kSecond);
  EXPECT_FALSE(xen_.guest.shutdown_reason());
}

TEST_F(SchedOpsTest, ThereAreTwoWatchdogs) {
  EXPECT_EQ(watchdog(1, 10), -XEN_EINVAL);
  EXPECT_EQ(watchdog(3, 10), -XEN_EINVAL);
  EXPECT_EQ(watchdog(0, 10), 1);
  EXPECT_EQ(watchdog(0, 10), 2);
  EXPECT_EQ(watchdog(0, 10), -XEN_ENOSPC);
  EXPECT_EQ(watchdog(1, 0), 0);
  EXPECT_EQ(watchdog(0, 10), 1);
}

TEST_F(SchedOpsTest, ADestroyedDomainsWatchdogsEnd) {
  ASSERT_EQ(watchdog(0, 1), 1);
  xen_.machine.destroy_domain(xen_.guest.id());
  const Nanoseconds then = xen_.world->now();
  EXPECT_FALSE(xen_.world->run_until([] { return false; }, 10 * kSecond));
  EXPECT_LT(xen_.world->now(), then + kSecond) << "nobody waits for anything any more";
  EXPECT_FALSE(xen_.guest.shutdown_reason());
}

TEST_F(SchedOpsTest, OlderWatchdogsHadOtherErrorsOrWereNotThere) {
  XenRig old("4.1");
  sched_watchdog_t op{.id = 1, .timeout = 1};
  EXPECT_EQ(old.call_with(__HYPERVISOR_sched_op, SCHEDOP_watchdog, op), -XEN_EEXIST);
  op.id = 0;
  for (int64_t id : {1, 2}) {
    EXPECT_EQ(old.call_with(__HYPERVISOR_sched_op, SCHEDOP_watchdog, op), id);
  }
  EXPECT_EQ(old.call_with(__HYPERVISOR_sched_op, SCHEDOP_watchdog, op), -XEN_EEXIST);
  XenRig oldest("4.0");
  EXPECT_EQ(oldest.call_with(__HYPERVISOR_sched_op, SCHEDOP_watchdog, op), -XEN_ENOSYS);
  sched_shutdown_t code{SHUTDOWN_crash};
  EXPECT_EQ(oldest.call_with(__HYPERVISOR_sched_op, SCHEDOP_shutdown_code, code), -XEN_ENOSYS);
}

TEST_F(SchedOpsTest, AShutdownSaysWhatWasLatchedFirst) {
  const auto port = static_cast<Port>(xen_.machine.dom0().events().bind_virq(VIRQ_DOM_EXC, 0));
  EXPECT_EQ(op(SCHEDOP_shutdown_code, sched_shutdown_t{SHUTDOWN_crash}), 0);
  EXPECT_EQ(op(SCHEDOP_shutdown_code, sched_shutdown_t{SHUTDOWN_reboot}), 0);
  EXPECT_FALSE(xen_.guest.shutdown_reason());
  EXPECT_FALSE(xen_.machine.dom0().events().pending(port));
  EXPECT_EQ(op(SCHEDOP_shutdown, sched_shutdown_t{SHUTDOWN_poweroff}), 0);
  EXPECT_EQ(xen_.guest.shutdown_reason(), SHUTDOWN_crash);
  EXPECT_TRUE(xen_.machine.dom0().events().pending(port));
}

TEST_F(SchedOpsTest, TheFirstShutdownCountsAndItsReasonIsAByte) {
  EXPECT_EQ(op(SCHEDOP_shutdown, sched_shutdown_t{0x177}), 0) << "Xen does not look at it";
  EXPECT_EQ(op(SCHEDOP_shutdown, sched_shutdown_t{SHUTDOWN_reboot}), 0);
  EXPECT_EQ(xen_.guest.shutdown_reason(), 0x77u);
}

TEST_F(SchedOpsTest, OthersAreShutDownByTheControlDomainOnly) {
  sched_remote_shutdown_t op{};
  op.domain_id = xen_.other.id();
  op.reason = SHUTDOWN_reboot;
  const auto ask = [&](Domain& domain) {
    return xen_.call_as(domain, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, op);
  };
  EXPECT_EQ(ask(xen_.guest), -XEN_EPERM);
  EXPECT_EQ(ask(xen_.other), -XEN_EPERM) << "not even itself";
  EXPECT_EQ(ask(xen_.machine.dom0()), 0);
  EXPECT_EQ(xen_.other.shutdown_reason(), SHUTDOWN_reboot);
  op.domain_id = 77;
  EXPECT_EQ(ask(xen_.machine.dom0()), -XEN_ESRCH);
  op.domain_id = DOMID_SELF;
  EXPECT_EQ(ask(xen_.guest), -XEN_ESRCH);
}

TEST_F(SchedOpsTest, WhatCannotBePolled) {
  const Port port = open();
  EXPECT_EQ(poll(std::vector<evtchn_port_t>(129, port)), -XEN_EINVAL);
  EXPECT_EQ(poll({port, 1 << 20}), -XEN_EINVAL);
  EXPECT_EQ(poll({port + 1}), -XEN_EINVAL) << "not open";
  EXPECT_EQ(poll({0}), -XEN_EINVAL);
  sched_poll_t nowhere{};
  nowhere.ports.p = reinterpret_cast<evtchn_port_t*>(kNoAddress);
  nowhere.nr_ports = 1;
  EXPECT_EQ(xen_.call_with(__HYPERVISOR_sched_op, SCHEDOP_poll, nowhere), -XEN_EFAULT);
  xen_.guest.events().send(port);
  EXPECT_EQ(poll({port, 1 << 20}), 0) << "the first that is pending ends it";
}

TEST_F(SchedOpsTest, OlderXenPollsPortsThatAreNotOpen) {
  XenRig old("4.14");
  evtchn_port_t ports[] = {0, 7};
  sched_poll_t op{};
  op.ports.p = ports;
  op.nr_ports = 2;
  EXPECT_EQ(old.call_with(__HYPERVISOR_sched_op, SCHEDOP_poll, op), 0);
}

TEST_F(SchedOpsTest, APollEndsAtItsAbsoluteTime) {
  const Port port = open();
  const Nanoseconds end = xen_.world->now() + 5 * kSecond;
  xen_.from_vcpu([&] { answer_ = poll({port}, end); });
  EXPECT_FALSE(answered(4 * kSecond));
  EXPECT_TRUE(answered(2 * kSecond));
  EXPECT_EQ(answer_, 0);
  EXPECT_GE(xen_.world->now(), end);
}

TEST_F(SchedOpsTest, ATimeThatIsOverEndsAPollAtOnce) {
  const Port port = open();
  xen_.from_vcpu([&] { answer_ = poll({port}, 1) + poll({port}, uint64_t{1} << 63); });
  EXPECT_TRUE(answered(kSecond));
}

TEST_F(SchedOpsTest, APollEndsWithItsPort) {
  const Port port = open();
  const Port another = open();
  xen_.from_vcpu([&] { answer_ = poll({port}); });
  xen_.pass(kSecond);
  xen_.guest.events().send(another);
  EXPECT_FALSE(answered(kSecond)) << "it waits for one only";
  xen_.guest.events().send(port);
  EXPECT_TRUE(answered());
}

TEST_F(SchedOpsTest, APollOfSeveralOrNoneEndsWithAny) {
  const Port first = open();
  const Port second = open();
  const Port another = open();
  xen_.from_vcpu([&] { answer_ = poll({first, second}); });
  xen_.pass(kSecond);
  EXPECT_FALSE(answer_);
  xen_.guest.events().send(another);
  EXPECT_TRUE(answered());
  answer_.reset();
  (void)xen_.guest.events().take_pending(another);
  xen_.from_vcpu([&] { answer_ = poll({}); });
  xen_.pass(kSecond);
  EXPECT_FALSE(answer_);
  xen_.guest.events().send(another);
  EXPECT_TRUE(answered());
}

TEST_F(SchedOpsTest, ABlockedVcpuWakesForAnUpcall) {
  const Port port = open();
  xen_.guest.vcpu_info(0).evtchn_upcall_mask = 1;
  xen_.from_vcpu([&] { answer_ = xen_.call(__HYPERVISOR_sched_op, SCHEDOP_block); });
  EXPECT_FALSE(answered());
  EXPECT_EQ(xen_.guest.vcpu_info(0).evtchn_upcall_mask, 0);
  xen_.guest.events().send(port);
  EXPECT_TRUE(answered());
  EXPECT_EQ(answer_, 0);
  answer_.reset();
  xen_.from_vcpu([&] { answer_ = xen_.call(__HYPERVISOR_sched_op, SCHEDOP_block); });
  EXPECT_TRUE(answered()) << "the upcall is still there";
}

}  // namespace
}  // namespace ringside::sim
