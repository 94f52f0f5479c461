// What grant_table_op, event_channel_op and memory_op withhold from HVM guests of older releases.

#include <gtest/gtest.h>

#include "sim/machine/xen_rig_test.hpp"

namespace ringside::sim {
namespace {

template <typename T>
int64_t grant_op(XenRig& xen, Domain& domain, unsigned command, T argument) {
  return xen.machine.hypercall(domain, 0, __HYPERVISOR_grant_table_op, command,
                               reinterpret_cast<uint64_t>(&argument), 1);
}
template <typename T>
int64_t memory_op(XenRig& xen, unsigned command, T argument) {
  return xen.call_with(__HYPERVISOR_memory_op, command, argument);
}

TEST(ReleasesTest, TheOldestGuestsGrantButMapNothing) {
  XenRig old("3.4");
  EXPECT_EQ(grant_op(old, old.guest, GNTTABOP_map_grant_ref, gnttab_map_grant_ref_t{}),
            -XEN_ENOSYS);
  EXPECT_EQ(grant_op(old, old.guest, GNTTABOP_unmap_grant_ref, gnttab_unmap_grant_ref_t{}),
            -XEN_ENOSYS);
  EXPECT_EQ(grant_op(old, old.guest, GNTTABOP_copy, gnttab_copy_t{}), -XEN_ENOSYS);
  EXPECT_EQ(grant_op(old, old.guest, GNTTABOP_set_version, gnttab_set_version_t{1}), -XEN_ENOSYS);
  EXPECT_EQ(grant_op(old, old.guest, GNTTABOP_query_size, gnttab_query_size_t{}), 0);
  EXPECT_EQ(grant_op(old, old.machine.dom0(), GNTTABOP_copy, gnttab_copy_t{}), 0)
      << "dom0 is no HVM guest";
  XenRig next("4.0");
  EXPECT_EQ(grant_op(next, next.guest, GNTTABOP_map_grant_ref, gnttab_map_grant_ref_t{}), 0);
  EXPECT_EQ(grant_op(next, next.guest, GNTTABOP_copy, gnttab_copy_t{}), 0);
  EXPECT_EQ(grant_op(next, next.guest, GNTTABOP_set_version, gnttab_set_version_t{2}), 0);
}

TEST(ReleasesTest, AVersionCouldBeSetBeforeItCouldBeAsked) {
  const auto ask = [](std::string_view release) {
    XenRig xen(release);
    gnttab_get_version_t op{};
    op.dom = DOMID_SELF;
    return grant_op(xen, xen.guest, GNTTABOP_get_version, op);
  };
  EXPECT_EQ(ask("4.1"), -XEN_ENOSYS);
  EXPECT_EQ(ask("4.2"), 0);
}

TEST(ReleasesTest, FifoEventsCameWith44) {
  const auto ask = [](std::string_view release) {
    XenRig xen(release);
    evtchn_init_control_t op{};
    op.control_gfn = xen.guest.allocate_pages()[0];
    return xen.call_with(__HYPERVISOR_event_channel_op, EVTCHNOP_init_control, op);
  };
  EXPECT_EQ(ask("4.3"), -XEN_ENOSYS);
  EXPECT_EQ(ask("4.4"), 0);
}

TEST(ReleasesTest, PlacesInMemory) {
  xen_remove_from_physmap_t remove{};
  remove.domid = DOMID_SELF;
  remove.gpfn = 60;
  xen_add_to_physmap_t range{};
  range.domid = DOMID_SELF;
  range.space = XENMAPSPACE_gmfn_range;
  xen_add_to_physmap_batch_t batch{};
  batch.domid = DOMID_SELF;
  XenRig old("4.1");
  EXPECT_EQ(memory_op(old, XENMEM_remove_from_physmap, remove), -XEN_ENOSYS);
  EXPECT_EQ(memory_op(old, XENMEM_add_to_physmap, range), -XEN_EINVAL);
  XenRig later("4.2");
  EXPECT_EQ(memory_op(later, XENMEM_remove_from_physmap, remove), -XEN_ENOENT);
  EXPECT_EQ(memory_op(later, XENMEM_add_to_physmap, range), 0);
  XenRig before("4.3");
  EXPECT_EQ(memory_op(before, XENMEM_add_to_physmap_batch, batch), -XEN_ENOSYS);
  XenRig with("4.4");
  EXPECT_EQ(memory_op(with, XENMEM_add_to_physmap_batch, batch), 0);
}

TEST(ReleasesTest, TheMemoryMapIsToldSince46) {
  const auto ask = [](std::string_view release) {
    XenRig xen(release);
    xen.guest.set_memory_map({{.address = 0, .bytes = kPageSize, .type = 1}});
    xen_memory_map_t op{};
    E820Entry entry;
    op.nr_entries = 1;
    op.buffer.p = &entry;
    return memory_op(xen, XENMEM_memory_map, op);
  };
  EXPECT_EQ(ask("4.5"), -XEN_ENOSYS);
  EXPECT_EQ(ask("4.6"), 0);
}

}  // namespace
}  // namespace ringside::sim
