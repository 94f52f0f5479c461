#include "sim/machine/machine.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/machine/xen_errno.hpp"

namespace ringside::sim {
namespace {

constexpr GrantRef kRef = GNTTAB_NR_RESERVED_ENTRIES;

class MachineTest : public testing::Test {
 protected:
  template <typename T>
  int64_t call(Domain& domain, unsigned number, unsigned command, T& argument, uint64_t count = 1) {
    return machine_.hypercall(domain, 0, number, command, reinterpret_cast<uint64_t>(&argument),
                              count);
  }
  template <typename T>
  int64_t event_op(Domain& domain, unsigned command, T argument) {
    return call(domain, __HYPERVISOR_event_channel_op, command, argument);
  }
  GrantMap map(bool read_only = false, GrantRef ref = kRef) {
    return dom0_.grants().map(guest_.id(), ref, read_only);
  }
  uint16_t flags() { return guest_.grants().entry(kRef).flags; }
  int16_t copy(gnttab_copy_t op) {
    EXPECT_EQ(call(dom0_, __HYPERVISOR_grant_table_op, GNTTABOP_copy, op), 0);
    return op.status;
  }
  gnttab_copy_t from_grant(uint16_t length, uint16_t offset = 0) {
    gnttab_copy_t op{};
    op.source.u.ref = kRef;
    op.source.domid = guest_.id();
    op.source.offset = offset;
    op.dest.u.gmfn = local_;
    op.dest.domid = DOMID_SELF;
    op.len = length;
    op.flags = GNTCOPY_source_gref;
    return op;
  }

  std::unique_ptr<World> world_ = World::deterministic(1);
  Machine machine_{*world_, {.frames = 4096, .max_maptrack_frames = 1}};
  Domain& dom0_ = machine_.dom0();
  Domain& guest_ = machine_.create_domain({.name = "guest", .vcpus = 2, .max_pages = 256});
  Domain& other_ = machine_.create_domain({.name = "other", .max_pages = 256});
  uint64_t page_ = guest_.allocate_pages()[0];
  uint64_t local_ = dom0_.allocate_pages()[0];
};

TEST_F(MachineTest, UnknownHypercallsAreNotImplemented) {
  EXPECT_EQ(machine_.hypercall(guest_, 0, 55), -XEN_ENOSYS);
  EXPECT_EQ(machine_.hypercall(guest_, 0, __HYPERVISOR_event_channel_op, 99, 1), -XEN_ENOSYS);
  EXPECT_EQ(machine_.hypercall(guest_, 0, __HYPERVISOR_event_channel_op, EVTCHNOP_send, 0),
            -XEN_EFAULT);
  EXPECT_EQ(machine_.hypercall(guest_, 0, __HYPERVISOR_xen_version, XENVER_version),
            machine_.config().xen_version);
}

TEST_F(MachineTest, AMapMarksTheEntryUntilItsLastUnmap) {
  guest_.grants().permit(kRef, 0, page_);
  const GrantMap writer = map();
  const GrantMap reader = map(true);
  ASSERT_EQ(writer.status, GNTST_okay);
  ASSERT_EQ(reader.status, GNTST_okay);
  EXPECT_EQ(writer.frame, guest_.machine_frame(page_));
  EXPECT_EQ(flags(), GTF_permit_access | GTF_reading | GTF_writing);
  EXPECT_EQ(dom0_.grants().unmap(writer.handle), GNTST_okay);
  EXPECT_EQ(flags(), GTF_permit_access | GTF_reading);
  EXPECT_EQ(dom0_.grants().unmap(reader.handle), GNTST_okay);
  EXPECT_EQ(flags(), GTF_permit_access);
}

TEST_F(MachineTest, WrongMapsAreRefused) {
  EXPECT_EQ(map(false, 1 << 20).status, GNTST_bad_gntref);
  EXPECT_EQ(map().status, GNTST_general_error) << "not permitted";
  EXPECT_EQ(dom0_.grants().map(77, kRef, false).status, GNTST_bad_domain);
  guest_.grants().permit(kRef, other_.id(), page_);
  EXPECT_EQ(map().status, GNTST_general_error) << "permitted to another";
  guest_.grants().permit(kRef, 0, page_, true);
  EXPECT_EQ(map().status, GNTST_general_error) << "read only";
  guest_.grants().permit(kRef, 0, 255);
  EXPECT_EQ(map().status, GNTST_bad_page);
  EXPECT_EQ(flags(), GTF_permit_access) << "a map that failed leaves no mark";
}

TEST_F(MachineTest, HandlesEndOnceAndAreLimited) {
  guest_.grants().permit(kRef, 0, page_);
  const GrantMap first = map();
  EXPECT_EQ(dom0_.grants().unmap(first.handle), GNTST_okay);
  EXPECT_EQ(dom0_.grants().unmap(first.handle), GNTST_bad_handle);
  EXPECT_EQ(dom0_.grants().unmap(1000), GNTST_bad_handle);
  for (int i = 0; i < 128; ++i) EXPECT_EQ(map().status, GNTST_okay);
  EXPECT_EQ(map().status, GNTST_general_error) << "the entry's count would overflow";
  guest_.grants().permit(kRef + 1, 0, page_);
  for (int i = 0; i < 128; ++i) EXPECT_EQ(map(false, kRef + 1).status, GNTST_okay);
  EXPECT_EQ(map(true).status, GNTST_no_device_space);
}

TEST_F(MachineTest, AHypercallMapsAtAGuestPhysicalPage) {
  other_.allocate_pages();
  guest_.grants().permit(kRef, other_.id(), page_);
  gnttab_map_grant_ref_t op{};
  op.host_addr = 200 * kPageSize;
  op.flags = GNTMAP_host_map;
  op.ref = kRef;
  op.dom = guest_.id();
  EXPECT_EQ(call(other_, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, op), 0);
  ASSERT_EQ(op.status, GNTST_okay);
  EXPECT_EQ(other_.page_address(200), guest_.page_address(page_));
  gnttab_unmap_grant_ref_t unmap{};
  unmap.host_addr = 201 * kPageSize;
  unmap.handle = op.handle;
  call(other_, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, unmap);
  EXPECT_EQ(unmap.status, GNTST_general_error);
  unmap.host_addr = 0;
  call(other_, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, unmap);
  EXPECT_EQ(unmap.status, GNTST_okay) << "nothing asked for, nothing done";
  EXPECT_EQ(other_.page_address(200), guest_.page_address(page_));
  unmap.host_addr = op.host_addr;
  call(other_, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, unmap);
  EXPECT_EQ(unmap.status, GNTST_okay);
  EXPECT_EQ(other_.page_address(200), nullptr);
}

TEST_F(MachineTest, CopiesStayInsideThePage) {
  guest_.grants().permit(kRef, 0, page_, true);
  guest_.page_address(page_)[4095] = std::byte{42};
  EXPECT_EQ(copy(from_grant(1, 4095)), GNTST_okay);
  EXPECT_EQ(dom0_.page_address(local_)[0], std::byte{42});
  EXPECT_EQ(flags(), GTF_permit_access | GTF_readonly);
  EXPECT_EQ(copy(from_grant(2, 4095)), GNTST_bad_copy_arg);
  EXPECT_EQ(copy(from_grant(1, 5000)), GNTST_bad_copy_arg);
  gnttab_copy_t op = from_grant(1);
  op.source.u.ref = 1 << 20;
  EXPECT_EQ(copy(op), GNTST_bad_gntref);
  op = from_grant(1);
  op.source.domid = 77;
  EXPECT_EQ(copy(op), GNTST_bad_domain);
  op = from_grant(1);
  op.dest.domid = guest_.id();
  EXPECT_EQ(copy(op), GNTST_permission_denied);
  op = from_grant(1);
  std::swap(op.source, op.dest);
  op.flags = GNTCOPY_dest_gref;
  EXPECT_EQ(copy(op), GNTST_general_error) << "the grant is read only";
}

TEST_F(MachineTest, TheGrantTableGrowsToItsLimit) {
  gnttab_query_size_t size{};
  size.dom = DOMID_SELF;
  xen_add_to_physmap_t add{};
  add.domid = DOMID_SELF;
  add.space = XENMAPSPACE_grant_table;
  add.idx = 3;
  add.gpfn = guest_.reserve_frames(1);
  EXPECT_EQ(call(guest_, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, add), 0);
  EXPECT_EQ(call(guest_, __HYPERVISOR_grant_table_op, GNTTABOP_query_size, size), 0);
  EXPECT_EQ(size.status, GNTST_okay);
  EXPECT_EQ(size.nr_frames, 4u);
  EXPECT_EQ(reinterpret_cast<grant_entry_v1_t*>(guest_.page_address(add.gpfn)),
            &guest_.grants().entry(3 * 512));
  add.idx = machine_.config().max_grant_frames;
  EXPECT_EQ(call(guest_, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, add), -XEN_EINVAL);
  size.dom = other_.id();
  call(guest_, __HYPERVISOR_grant_table_op, GNTTABOP_query_size, size);
  EXPECT_EQ(size.status, GNTST_permission_denied);
}

TEST_F(MachineTest, EventsTravelBetweenDomains) {
  const auto theirs = static_cast<Port>(guest_.events().alloc_unbound(0));
  const auto ours = static_cast<Port>(dom0_.events().bind_interdomain(guest_.id(), theirs));
  EXPECT_TRUE(dom0_.events().pending(ours)) << "a bind announces what may have been sent before";
  EXPECT_EQ(dom0_.events().send(ours), 0);
  EXPECT_TRUE(guest_.events().pending(theirs));
  EXPECT_EQ(guest_.vcpu_info(0).evtchn_upcall_pending, 1);
  EXPECT_EQ(guest_.vcpu_info(0).evtchn_pending_sel, 1u);
}

TEST_F(MachineTest, AMaskedEventWaitsForItsUnmask) {
  const auto theirs = static_cast<Port>(guest_.events().alloc_unbound(0));
  const auto ours = static_cast<Port>(dom0_.events().bind_interdomain(guest_.id(), theirs));
  guest_.events().mask(theirs);
  dom0_.events().send(ours);
  EXPECT_TRUE(guest_.events().pending(theirs));
  EXPECT_EQ(guest_.vcpu_info(0).evtchn_upcall_pending, 0);
  EXPECT_EQ(event_op(guest_, EVTCHNOP_unmask, evtchn_unmask_t{theirs}), 0);
  EXPECT_EQ(guest_.vcpu_info(0).evtchn_upcall_pending, 1);
}

TEST_F(MachineTest, WrongPortsAreRefused) {
  const auto theirs = static_cast<Port>(guest_.events().alloc_unbound(0));
  EXPECT_EQ(event_op(guest_, EVTCHNOP_send, evtchn_send_t{0}), -XEN_EINVAL);
  EXPECT_EQ(event_op(guest_, EVTCHNOP_send, evtchn_send_t{99}), -XEN_EINVAL);
  EXPECT_EQ(event_op(guest_, EVTCHNOP_send, evtchn_send_t{1 << 20}), -XEN_EINVAL);
  EXPECT_EQ(event_op(guest_, EVTCHNOP_send, evtchn_send_t{theirs}), 0) << "nobody there yet";
  EXPECT_EQ(other_.events().bind_interdomain(guest_.id(), theirs), -XEN_EINVAL) << "not for it";
  EXPECT_EQ(other_.events().bind_interdomain(77, theirs), -XEN_ESRCH);
  EXPECT_EQ(event_op(guest_, EVTCHNOP_bind_vcpu, evtchn_bind_vcpu_t{theirs, 2}), -XEN_ENOENT);
  EXPECT_EQ(event_op(guest_, EVTCHNOP_close, evtchn_close_t{theirs}), 0);
  EXPECT_EQ(event_op(guest_, EVTCHNOP_close, evtchn_close_t{theirs}), -XEN_EINVAL);
  evtchn_alloc_unbound_t foreign{};
  foreign.dom = other_.id();
  EXPECT_EQ(event_op(guest_, EVTCHNOP_alloc_unbound, foreign), -XEN_EPERM);
}

TEST_F(MachineTest, AClosedEndLeavesTheOtherUnbound) {
  const auto theirs = static_cast<Port>(guest_.events().alloc_unbound(0));
  const auto ours = static_cast<Port>(dom0_.events().bind_interdomain(guest_.id(), theirs));
  EXPECT_EQ(dom0_.events().close(ours), 0);
  evtchn_status_t status{};
  status.port = theirs;
  EXPECT_EQ(guest_.events().status(status), 0);
  EXPECT_EQ(status.status, EVTCHNSTAT_unbound);
  EXPECT_EQ(guest_.events().send(theirs), 0);
  status.port = 0;
  EXPECT_EQ(guest_.events().status(status), 0);
  EXPECT_EQ(status.status, EVTCHNSTAT_closed) << "which is how lsevtchn begins";
}

TEST_F(MachineTest, PortsRunOut) {
  int64_t last = 0;
  for (Port port = 1; port < guest_.events().max_ports(); ++port) {
    last = guest_.events().bind_ipi(0);
    ASSERT_EQ(last, port);
  }
  EXPECT_EQ(guest_.events().bind_ipi(0), -XEN_ENOSPC);
}

TEST_F(MachineTest, VirqsAreBoundOnce) {
  EXPECT_EQ(guest_.events().bind_virq(NR_VIRQS, 0), -XEN_EINVAL);
  EXPECT_EQ(guest_.events().bind_virq(VIRQ_DOM_EXC, 1), -XEN_EINVAL) << "global ones: vCPU 0";
  EXPECT_GT(guest_.events().bind_virq(VIRQ_TIMER, 1), 0);
  EXPECT_EQ(guest_.events().bind_virq(VIRQ_TIMER, 1), -XEN_EEXIST);
  const auto port = static_cast<Port>(dom0_.events().bind_virq(VIRQ_DOM_EXC, 0));
  machine_.destroy_domain(other_.id());
  EXPECT_TRUE(dom0_.events().pending(port));
}

TEST_F(MachineTest, AGuestSetsOnlyItsCallback) {
  xen_hvm_param_t param{};
  param.domid = DOMID_SELF;
  param.index = HVM_PARAM_CALLBACK_IRQ;
  param.value = 7;
  EXPECT_EQ(call(guest_, __HYPERVISOR_hvm_op, HVMOP_set_param, param), 0);
  param.index = HVM_PARAM_STORE_PFN;
  EXPECT_EQ(call(guest_, __HYPERVISOR_hvm_op, HVMOP_set_param, param), -XEN_EPERM);
  param.index = HVM_NR_PARAMS;
  EXPECT_EQ(call(guest_, __HYPERVISOR_hvm_op, HVMOP_get_param, param), -XEN_EINVAL);
}

TEST_F(MachineTest, WhatIsLeftOverIsFound) {
  EXPECT_EQ(machine_.audit(), std::vector<std::string>{});
  guest_.grants().permit(kRef, 0, page_);
  guest_.events().alloc_unbound(0);
  const GrantMap mapped = map();
  EXPECT_EQ(machine_.audit(),
            (std::vector<std::string>{"domain 0: still maps grant 8 of domain 1",
                                      "domain 1: grant 8 is still in use by domain 0, 1 times",
                                      "domain 1: port 1 is still open (unbound)"}));
  dom0_.grants().unmap(mapped.handle);
  guest_.events().close(1);
  EXPECT_EQ(machine_.audit(),
            (std::vector<std::string>{"domain 1: grant 8 is still permitted to domain 0, gfn 1"}));
}

TEST_F(MachineTest, APageReleasedWhileMappedIsFoundAndNotReused) {
  guest_.grants().permit(kRef, 0, page_);
  const GrantMap mapped = map();
  guest_.release_pages(std::vector<uint64_t>{page_});
  guest_.grants().entry(kRef).flags = 0;
  EXPECT_NE(guest_.machine_frame(guest_.allocate_pages()[0]), mapped.frame);
  dom0_.grants().unmap(mapped.handle);
  EXPECT_EQ(machine_.audit(),
            (std::vector<std::string>{"domain 1: gfn 1 was released while a peer used it"}));
}

TEST_F(MachineTest, ADestroyedDomainIsGoneButItsMapsEndWell) {
  guest_.grants().permit(kRef, 0, page_);
  const GrantMap mapped = map();
  const uint32_t used = machine_.frames().used();
  machine_.destroy_domain(guest_.id());
  EXPECT_EQ(machine_.find(guest_.id()), nullptr);
  EXPECT_EQ(machine_.frames().used(), used) << "its only page is still mapped";
  EXPECT_EQ(map().status, GNTST_bad_domain);
  EXPECT_EQ(dom0_.grants().unmap(mapped.handle), GNTST_okay);
  EXPECT_EQ(machine_.frames().used(), used - 1);
}

}  // namespace
}  // namespace ringside::sim
