#include <gtest/gtest.h>

#include "sim/machine/xen_rig_test.hpp"

namespace ringside::sim {
namespace {

class HvmOpsTest : public testing::Test {
 protected:
  static int64_t set(XenRig& xen, uint32_t index, uint64_t value, DomainId domain = DOMID_SELF) {
    return set_as(xen, xen.guest, index, value, domain);
  }
  static int64_t set_as(XenRig& xen, Domain& caller, uint32_t index, uint64_t value,
                        DomainId domain) {
    xen_hvm_param_t op{};
    op.domid = domain;
    op.index = index;
    op.value = value;
    return xen.call_as(caller, __HYPERVISOR_hvm_op, HVMOP_set_param, op);
  }
  static int64_t get(XenRig& xen, uint32_t index, DomainId domain = DOMID_SELF) {
    xen_hvm_param_t op{};
    op.domid = domain;
    op.index = index;
    return xen.call_with(__HYPERVISOR_hvm_op, HVMOP_get_param, op);
  }
  int64_t toolstack(uint32_t index, uint64_t value) {
    return set_as(xen_, xen_.machine.dom0(), index, value, xen_.guest.id());
  }
  int64_t vector(uint32_t vcpu, uint8_t number) {
    xen_hvm_evtchn_upcall_vector_t op{};
    op.vcpu = vcpu;
    op.vector = number;
    return xen_.call_with(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, op);
  }

  XenRig xen_;
};

TEST_F(HvmOpsTest, WrongAddresses) {
  for (const unsigned command :
       {HVMOP_set_param, HVMOP_get_param, HVMOP_get_time, HVMOP_get_mem_type, HVMOP_pagetable_dying,
        HVMOP_xentrace, HVMOP_set_evtchn_upcall_vector}) {
    EXPECT_EQ(xen_.call(__HYPERVISOR_hvm_op, command), -XEN_EFAULT) << command;
    EXPECT_EQ(xen_.call(__HYPERVISOR_hvm_op, command, kNoAddress), -XEN_EFAULT) << command;
  }
}

TEST_F(HvmOpsTest, WhichReleaseHasWhat) {
  struct Row {
    unsigned command;
    const char* last_without;
    const char* first_with;
  };
  for (const Row& row : {Row{HVMOP_get_time, "4.0", "4.1"},
                         {HVMOP_pagetable_dying, "4.0", "4.1"},
                         {HVMOP_get_mem_type, "4.1", "4.2"},
                         {HVMOP_set_evtchn_upcall_vector, "4.5", "4.6"},
                         {HVMOP_altp2m, "4.5", "4.6"}}) {
    EXPECT_EQ(XenRig(row.last_without).call(__HYPERVISOR_hvm_op, row.command), -XEN_ENOSYS);
    EXPECT_NE(XenRig(row.first_with).call(__HYPERVISOR_hvm_op, row.command), -XEN_ENOSYS);
  }
  EXPECT_EQ(xen_.call(__HYPERVISOR_hvm_op, 99), -XEN_ENOSYS);
  EXPECT_EQ(xen_.call(__HYPERVISOR_hvm_op, HVMOP_altp2m), -XEN_EOPNOTSUPP);
  EXPECT_EQ(xen_.call(__HYPERVISOR_hvm_op, HVMOP_guest_request_vm_event), 0);
  EXPECT_EQ(xen_.call(__HYPERVISOR_hvm_op, HVMOP_guest_request_vm_event, 0x100000), -XEN_EINVAL);
}

TEST_F(HvmOpsTest, WhatAGuestMaySet) {
  for (const uint32_t index : {HVM_PARAM_CALLBACK_IRQ, HVM_PARAM_STORE_EVTCHN,
                               HVM_PARAM_CONSOLE_EVTCHN, HVM_PARAM_VM_GENERATION_ID_ADDR}) {
    EXPECT_EQ(set(xen_, index, 4), 0) << index;
    EXPECT_EQ(xen_.guest.hvm_param(index), 4u);
  }
  for (const uint32_t index :
       {HVM_PARAM_STORE_PFN, HVM_PARAM_CONSOLE_PFN, HVM_PARAM_VIRIDIAN, HVM_PARAM_IDENT_PT,
        HVM_PARAM_TIMER_MODE, HVM_PARAM_ALTP2M, HVM_PARAM_ACPI_S_STATE, 7}) {
    EXPECT_EQ(set(xen_, index, 1), -XEN_EPERM) << index;
  }
  for (const uint32_t index : {4, 13, 20, 24, 26, 30}) {
    EXPECT_EQ(set(xen_, index, 1), -XEN_EINVAL) << "deprecated: " << index;
    EXPECT_EQ(get(xen_, index), -XEN_EINVAL) << "deprecated: " << index;
  }
}

TEST_F(HvmOpsTest, WhatAGuestMayRead) {
  for (const uint32_t index : {HVM_PARAM_CALLBACK_IRQ, HVM_PARAM_STORE_PFN, HVM_PARAM_STORE_EVTCHN,
                               HVM_PARAM_CONSOLE_PFN, HVM_PARAM_ALTP2M}) {
    EXPECT_EQ(get(xen_, index), 0) << index;
  }
  for (const uint32_t index : {HVM_PARAM_IOREQ_PFN, HVM_PARAM_VIRIDIAN, HVM_PARAM_TIMER_MODE}) {
    EXPECT_EQ(get(xen_, index), -XEN_EPERM) << index;
  }
}

TEST_F(HvmOpsTest, BeforeThereWereListsAGuestMightMuch) {
  XenRig old("4.4");
  EXPECT_EQ(set(old, HVM_PARAM_STORE_PFN, 7), 0);
  EXPECT_EQ(set(old, HVM_PARAM_TIMER_MODE, HVMPTM_one_missed_tick_pending + 1), -XEN_EINVAL);
  EXPECT_EQ(set(old, HVM_PARAM_VIRIDIAN, 1), 0);
  for (const uint32_t index : {HVM_PARAM_IDENT_PT, HVM_PARAM_ACPI_S_STATE, 13, 20}) {
    EXPECT_EQ(set(old, index, 1), -XEN_EPERM) << index;
  }
  EXPECT_EQ(get(old, HVM_PARAM_IOREQ_PFN), 0);
  XenRig later("4.5");
  EXPECT_EQ(set(later, HVM_PARAM_VIRIDIAN, 1), -XEN_EPERM);
  EXPECT_EQ(get(later, HVM_PARAM_IOREQ_SERVER_PFN), -XEN_EPERM);
}

TEST_F(HvmOpsTest, TheParametersOfTheRelease) {
  EXPECT_EQ(get(xen_, HVM_NR_PARAMS), -XEN_EINVAL);
  EXPECT_EQ(set(xen_, HVM_NR_PARAMS, 1), -XEN_EINVAL);
  XenRig old("4.0");
  EXPECT_EQ(get(old, HVM_PARAM_CONSOLE_PFN), -XEN_EINVAL);
  EXPECT_EQ(get(old, HVM_PARAM_STORE_PFN), 0);
}

TEST_F(HvmOpsTest, WhoseParameters) {
  EXPECT_EQ(get(xen_, HVM_PARAM_STORE_PFN, xen_.guest.id()), 0);
  EXPECT_EQ(get(xen_, HVM_PARAM_STORE_PFN, xen_.other.id()), -XEN_EPERM);
  EXPECT_EQ(get(xen_, HVM_PARAM_STORE_PFN, 77), -XEN_ESRCH);
  EXPECT_EQ(set_as(xen_, xen_.machine.dom0(), HVM_PARAM_STORE_PFN, 1, 0), -XEN_EINVAL)
      << "dom0 has none";
}

TEST_F(HvmOpsTest, AToolstackSettlesSomeOnce) {
  EXPECT_EQ(toolstack(HVM_PARAM_VIRIDIAN, 1), 0);
  EXPECT_EQ(toolstack(HVM_PARAM_VIRIDIAN, 1), 0);
  EXPECT_EQ(toolstack(HVM_PARAM_VIRIDIAN, 3), -XEN_EEXIST);
  EXPECT_EQ(toolstack(HVM_PARAM_STORE_PFN, 1), 0);
  EXPECT_EQ(toolstack(HVM_PARAM_STORE_PFN, 2), 0);
}

TEST_F(HvmOpsTest, ValuesThatCannotBe) {
  EXPECT_EQ(set(xen_, HVM_PARAM_X87_FIP_WIDTH, 5), -XEN_EINVAL);
  EXPECT_EQ(set(xen_, HVM_PARAM_X87_FIP_WIDTH, 8), 0);
  EXPECT_EQ(set(xen_, HVM_PARAM_ACPI_IOPORTS_LOCATION, 2), -XEN_EINVAL);
  EXPECT_EQ(set(xen_, HVM_PARAM_ACPI_IOPORTS_LOCATION, 1), 0);
  EXPECT_EQ(set(xen_, HVM_PARAM_ACPI_IOPORTS_LOCATION, 1), 0);
  EXPECT_EQ(set(xen_, HVM_PARAM_ACPI_IOPORTS_LOCATION, 3), -XEN_EINVAL);
  EXPECT_EQ(toolstack(HVM_PARAM_TIMER_MODE, 4), -XEN_EINVAL);
  EXPECT_EQ(toolstack(HVM_PARAM_TRIPLE_FAULT_REASON, SHUTDOWN_MAX + 1), -XEN_EINVAL);
  EXPECT_EQ(toolstack(HVM_PARAM_ACPI_S_STATE, 1), -XEN_EINVAL);
}

TEST_F(HvmOpsTest, AVectorIsNoExceptionAndForAVcpuThatIs) {
  EXPECT_EQ(vector(0, 0x0f), -XEN_EINVAL);
  EXPECT_EQ(vector(2, 0x0f), -XEN_EINVAL) << "looked at first";
  EXPECT_EQ(vector(2, 0x30), -XEN_ENOENT);
  EXPECT_FALSE(xen_.guest.upcall_connected(1));
  EXPECT_EQ(vector(1, 0x30), 0);
  EXPECT_TRUE(xen_.guest.upcall_connected(1));
}

TEST_F(HvmOpsTest, FlushingTakesNoArgument) {
  EXPECT_EQ(xen_.call(__HYPERVISOR_hvm_op, HVMOP_flush_tlbs), 0);
  EXPECT_EQ(xen_.call(__HYPERVISOR_hvm_op, HVMOP_flush_tlbs, 0x100000), -XEN_EINVAL);
}

TEST_F(HvmOpsTest, TheTimeIsXens) {
  xen_hvm_get_time_t time{};
  xen_.pass(platform::kSecond);
  EXPECT_EQ(xen_.call_with(__HYPERVISOR_hvm_op, HVMOP_get_time, time), 0);
  EXPECT_EQ(time.now, xen_.world->now());
}

TEST_F(HvmOpsTest, MemoryIsToldFromHoles) {
  xen_hvm_get_mem_type_t type{};
  type.domid = DOMID_SELF;
  type.pfn = xen_.guest.allocate_pages()[0];
  EXPECT_EQ(xen_.call_with(__HYPERVISOR_hvm_op, HVMOP_get_mem_type, type), 0);
  EXPECT_EQ(type.mem_type, HVMMEM_ram_rw);
  type.pfn = xen_.guest.max_gfn() - 1;
  EXPECT_EQ(xen_.call_with(__HYPERVISOR_hvm_op, HVMOP_get_mem_type, type), 0);
  EXPECT_EQ(type.mem_type, HVMMEM_mmio_dm);
  type.domid = xen_.other.id();
  EXPECT_EQ(xen_.call_with(__HYPERVISOR_hvm_op, HVMOP_get_mem_type, type), -XEN_EPERM);
}

TEST_F(HvmOpsTest, DyingPageTablesAreForShadowedGuests) {
  xen_hvm_pagetable_dying_t op{};
  op.domid = DOMID_SELF;
  const auto ask = [&](XenRig& xen, Domain& caller) {
    return xen.call_as(caller, __HYPERVISOR_hvm_op, HVMOP_pagetable_dying, op);
  };
  EXPECT_EQ(ask(xen_, xen_.guest), -XEN_EINVAL);
  op.domid = xen_.guest.id();
  EXPECT_EQ(ask(xen_, xen_.machine.dom0()), -XEN_EOPNOTSUPP);
  XenRig old("4.11");
  EXPECT_EQ(ask(old, old.machine.dom0()), -XEN_EINVAL);
}

TEST_F(HvmOpsTest, TracesHaveALimit) {
  xen_hvm_xentrace_t op{};
  op.event = 0xfff;
  op.extra_bytes = sizeof(op.extra);
  EXPECT_EQ(xen_.call_with(__HYPERVISOR_hvm_op, HVMOP_xentrace, op), 0);
  op.event = 0x1000;
  EXPECT_EQ(xen_.call_with(__HYPERVISOR_hvm_op, HVMOP_xentrace, op), -XEN_EINVAL);
  op.event = 0;
  ++op.extra_bytes;
  EXPECT_EQ(xen_.call_with(__HYPERVISOR_hvm_op, HVMOP_xentrace, op), -XEN_EINVAL);
}

}  // namespace
}  // namespace ringside::sim
