// grant_table_op as an HVM guest makes it, against what Xen answers. Source: xen/grant_table.h.

#include "sim/machine/grant_table.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/machine/machine.hpp"
#include "sim/machine/xen_errno.hpp"

namespace ringside::sim {
namespace {

constexpr GrantRef kRef = 40;

class GrantRig : public testing::Test {
 protected:
  explicit GrantRig(MachineConfig config = {.frames = 4096}) : machine_(*world_, config) {}

  template <typename T>
  int64_t op(Domain& domain, unsigned command, T& argument, uint64_t count = 1) {
    return machine_.hypercall(domain, 0, __HYPERVISOR_grant_table_op, command,
                              reinterpret_cast<uint64_t>(&argument), count);
  }
  int64_t set_version(Domain& domain, uint32_t version) {
    gnttab_set_version_t argument{version};
    return op(domain, GNTTABOP_set_version, argument);
  }
  gnttab_map_grant_ref_t map(unsigned flags = GNTMAP_host_map, GrantRef ref = kRef) {
    gnttab_map_grant_ref_t argument{};
    argument.host_addr = kHole * kPageSize;
    argument.flags = flags;
    argument.ref = ref;
    argument.dom = guest_.id();
    EXPECT_EQ(op(user_, GNTTABOP_map_grant_ref, argument), 0);
    return argument;
  }
  int16_t unmap(uint32_t handle) {
    gnttab_unmap_grant_ref_t argument{};
    argument.host_addr = kHole * kPageSize;
    argument.handle = handle;
    EXPECT_EQ(op(user_, GNTTABOP_unmap_grant_ref, argument), 0);
    return argument.status;
  }
  gnttab_copy_t::gnttab_copy_ptr granted(uint16_t offset, GrantRef ref = kRef) {
    gnttab_copy_t::gnttab_copy_ptr ptr{};
    ptr.u.ref = ref;
    ptr.domid = guest_.id();
    ptr.offset = offset;
    return ptr;
  }
  gnttab_copy_t::gnttab_copy_ptr local(uint64_t gfn, uint16_t offset) {
    gnttab_copy_t::gnttab_copy_ptr ptr{};
    ptr.u.gmfn = gfn;
    ptr.domid = DOMID_SELF;
    ptr.offset = offset;
    return ptr;
  }
  int16_t copy(gnttab_copy_t::gnttab_copy_ptr source, gnttab_copy_t::gnttab_copy_ptr dest,
               uint16_t length, uint16_t flags) {
    gnttab_copy_t argument{source, dest, length, flags, 0};
    EXPECT_EQ(op(user_, GNTTABOP_copy, argument), 0);
    return argument.status;
  }
  int64_t add_grant_frame(uint64_t index, uint64_t gfn) {
    xen_add_to_physmap_t add{};
    add.domid = DOMID_SELF;
    add.space = XENMAPSPACE_grant_table;
    add.idx = index;
    add.gpfn = gfn;
    return machine_.hypercall(guest_, 0, __HYPERVISOR_memory_op, XENMEM_add_to_physmap,
                              reinterpret_cast<uint64_t>(&add));
  }

  static constexpr uint64_t kHole = 300;
  std::unique_ptr<World> world_ = World::deterministic(1);
  Machine machine_;
  Domain& guest_ = machine_.create_domain({.name = "guest", .max_pages = 256});
  Domain& user_ = machine_.create_domain({.name = "user", .max_pages = 256});
  uint64_t page_ = guest_.allocate_pages()[0];
  uint64_t own_ = user_.allocate_pages()[0];
};

/// The same questions to tables of both versions.
class GrantVersions : public GrantRig, public testing::WithParamInterface<uint32_t> {
 protected:
  void SetUp() override { ASSERT_EQ(set_version(guest_, GetParam()), 0); }
  uint16_t marks() {
    GrantTable& grants = guest_.grants();
    const uint16_t word = GetParam() == 1 ? grants.entry(kRef).flags : grants.status_word(kRef);
    return word & (GTF_reading | GTF_writing);
  }
  uint16_t& flags() {
    GrantTable& grants = guest_.grants();
    return GetParam() == 1 ? grants.entry(kRef).flags : grants.entry_v2(kRef).hdr.flags;
  }
};

TEST_P(GrantVersions, MapsAreMarkedCountedAndEnded) {
  guest_.grants().permit(kRef, user_.id(), page_);
  const auto writer = map();
  ASSERT_EQ(writer.status, GNTST_okay);
  EXPECT_EQ(user_.page_address(kHole), guest_.page_address(page_));
  EXPECT_EQ(marks(), GTF_reading | GTF_writing);
  const GrantMap reader = user_.grants().map(guest_.id(), kRef, true);
  EXPECT_EQ(guest_.grants().use_count(kRef), 2u);
  EXPECT_EQ(unmap(writer.handle), GNTST_okay);
  EXPECT_EQ(marks(), GTF_reading);
  EXPECT_EQ(user_.grants().unmap(reader.handle), GNTST_okay);
  EXPECT_EQ(marks(), 0);
  EXPECT_EQ(unmap(writer.handle), GNTST_bad_handle);
}

TEST_P(GrantVersions, MapsThatXenRefusesLeaveNoMark) {
  EXPECT_EQ(map(0).status, GNTST_bad_gntref) << "neither for the host nor for devices";
  EXPECT_EQ(map(GNTMAP_device_map).status, GNTST_general_error) << "not for an HVM guest";
  EXPECT_EQ(map(GNTMAP_host_map | GNTMAP_contains_pte).status, GNTST_general_error);
  EXPECT_EQ(map(GNTMAP_host_map, 1 << 20).status, GNTST_bad_gntref);
  EXPECT_EQ(map().status, GNTST_general_error) << "not permitted";
  guest_.grants().permit(kRef, 0, page_);
  EXPECT_EQ(map().status, GNTST_general_error) << "permitted to another";
  guest_.grants().permit(kRef, user_.id(), page_, true);
  EXPECT_EQ(map().status, GNTST_general_error) << "read only";
  guest_.grants().permit(kRef, user_.id(), 255);
  EXPECT_EQ(map().status, GNTST_bad_page);
  guest_.grants().permit(kRef, user_.id(), page_);
  EXPECT_EQ(map(GNTMAP_host_map | 1u << 16).status, GNTST_general_error) << "no page table entry";
  flags() = GTF_permit_access | GTF_sub_page;
  EXPECT_EQ(map().status, GNTST_general_error) << "part of a page can't be mapped";
  flags() = GTF_transitive;
  EXPECT_EQ(map().status, GNTST_general_error);
  flags() = GTF_accept_transfer;
  EXPECT_EQ(map().status, GNTST_general_error);
  EXPECT_EQ(marks(), 0);
  EXPECT_EQ(user_.grants().map_count(), 0u);
}

TEST_P(GrantVersions, EndedByTheGranterAMapGoesOnAndNoOtherBegins) {
  guest_.grants().permit(kRef, user_.id(), page_);
  const GrantMap first = user_.grants().map(guest_.id(), kRef, false);
  flags() &= static_cast<uint16_t>(~GTF_type_mask);
  EXPECT_EQ(marks(), GTF_reading | GTF_writing);
  EXPECT_EQ(user_.grants().unmap(first.handle), GNTST_okay);
  EXPECT_EQ(marks(), 0);
  EXPECT_EQ(map().status, GNTST_general_error);
}

TEST_P(GrantVersions, CopiesBetweenGrantsAndFrames) {
  guest_.grants().permit(kRef, user_.id(), page_, true);
  const uint64_t other = guest_.allocate_pages()[0];
  guest_.grants().permit(kRef + 1, user_.id(), other);
  guest_.page_address(page_)[10] = std::byte{7};
  constexpr uint16_t kBoth = GNTCOPY_source_gref | GNTCOPY_dest_gref;
  EXPECT_EQ(copy(granted(10), granted(20, kRef + 1), 1, kBoth), GNTST_okay);
  EXPECT_EQ(guest_.page_address(other)[20], std::byte{7});
  EXPECT_EQ(copy(granted(10), local(own_, 4095), 1, GNTCOPY_source_gref), GNTST_okay);
  EXPECT_EQ(user_.page_address(own_)[4095], std::byte{7});
  EXPECT_EQ(copy(granted(10), local(own_, 4095), 2, GNTCOPY_source_gref), GNTST_bad_copy_arg);
  EXPECT_EQ(copy(granted(4095), local(own_, 0), 2, GNTCOPY_source_gref), GNTST_bad_copy_arg);
  EXPECT_EQ(copy(local(own_, 0), granted(0), 1, GNTCOPY_dest_gref), GNTST_general_error);
  EXPECT_EQ(copy(local(250, 0), granted(0, kRef + 1), 1, GNTCOPY_dest_gref), GNTST_bad_page);
  EXPECT_EQ(copy(granted(0, 1 << 20), local(own_, 0), 1, GNTCOPY_source_gref), GNTST_bad_gntref);
  auto foreign = local(page_, 0);
  foreign.domid = guest_.id();
  EXPECT_EQ(copy(foreign, granted(0, kRef + 1), 1, GNTCOPY_dest_gref), GNTST_permission_denied);
  EXPECT_EQ(marks(), 0);
}

TEST_P(GrantVersions, EntriesAreSwappedUnlessInUse) {
  gnttab_swap_grant_ref_t swap{kRef, kRef + 1, 0};
  guest_.grants().permit(kRef, user_.id(), page_);
  EXPECT_EQ(op(guest_, GNTTABOP_swap_grant_ref, swap), 0);
  EXPECT_EQ(swap.status, GNTST_okay);
  EXPECT_EQ(map().status, GNTST_general_error);
  const auto mapped = map(GNTMAP_host_map, kRef + 1);
  EXPECT_EQ(mapped.status, GNTST_okay);
  EXPECT_EQ(op(guest_, GNTTABOP_swap_grant_ref, swap), 0);
  EXPECT_EQ(swap.status, GNTST_eagain);
  swap.ref_b = 1 << 20;
  EXPECT_EQ(op(guest_, GNTTABOP_swap_grant_ref, swap), 0);
  EXPECT_EQ(swap.status, GNTST_bad_gntref);
  EXPECT_EQ(unmap(mapped.handle), GNTST_okay);
}

TEST_P(GrantVersions, AChangeOfVersionKeepsTheReservedEntriesAlone) {
  GrantTable& grants = guest_.grants();
  grants.permit(GNTTAB_RESERVED_XENSTORE, 0, page_);
  const GrantMap store = machine_.dom0().grants().map(guest_.id(), GNTTAB_RESERVED_XENSTORE, false);
  ASSERT_EQ(store.status, GNTST_okay);
  grants.permit(kRef, user_.id(), page_);
  const GrantMap mapped = user_.grants().map(guest_.id(), kRef, true);
  const uint32_t other = GetParam() == 1 ? 2 : 1;
  EXPECT_EQ(set_version(guest_, other), -XEN_EBUSY);
  EXPECT_EQ(user_.grants().unmap(mapped.handle), GNTST_okay);
  EXPECT_EQ(set_version(guest_, other), 0);
  EXPECT_EQ(user_.grants().map(guest_.id(), kRef, true).status, GNTST_general_error) << "cleared";
  EXPECT_EQ(machine_.dom0().grants().unmap(store.handle), GNTST_okay);
  const GrantMap again = machine_.dom0().grants().map(guest_.id(), GNTTAB_RESERVED_XENSTORE, false);
  EXPECT_EQ(again.status, GNTST_okay);
  EXPECT_EQ(again.frame, guest_.machine_frame(page_));
  EXPECT_EQ(machine_.dom0().grants().unmap(again.handle), GNTST_okay);
}

TEST_P(GrantVersions, WhatXenKeepsFromHvmGuestsDoesNotExist) {
  gnttab_transfer_t transfer{};
  EXPECT_EQ(op(guest_, GNTTABOP_transfer, transfer), -XEN_ENOSYS);
  gnttab_dump_table_t dump{};
  EXPECT_EQ(op(guest_, GNTTABOP_dump_table, dump), -XEN_ENOSYS);
  gnttab_unmap_and_replace_t replace{};
  EXPECT_EQ(op(guest_, GNTTABOP_unmap_and_replace, replace), -XEN_ENOSYS);
  gnttab_get_status_frames_t frames{};
  EXPECT_EQ(op(guest_, GNTTABOP_get_status_frames, frames), -XEN_ENOSYS);
  gnttab_cache_flush_t flush{};
  EXPECT_EQ(op(guest_, GNTTABOP_cache_flush, flush), -XEN_ENOSYS);
  EXPECT_EQ(op(guest_, GNTTABOP_copy, flush, ~uint64_t{0}), -XEN_EINVAL);
}

TEST_P(GrantVersions, TheVersionIsToldAndOthersVersionsToThePrivileged) {
  EXPECT_EQ(set_version(guest_, 3), -XEN_EINVAL);
  gnttab_get_version_t version{};
  version.dom = DOMID_SELF;
  EXPECT_EQ(op(guest_, GNTTABOP_get_version, version), 0);
  EXPECT_EQ(version.version, GetParam());
  version.dom = user_.id();
  EXPECT_EQ(op(guest_, GNTTABOP_get_version, version), -XEN_EPERM);
  version.dom = guest_.id();
  EXPECT_EQ(op(machine_.dom0(), GNTTABOP_get_version, version), 0);
  EXPECT_EQ(version.version, GetParam());
  version.dom = 77;
  EXPECT_EQ(op(guest_, GNTTABOP_get_version, version), -XEN_ESRCH);
}

INSTANTIATE_TEST_SUITE_P(Tables, GrantVersions, testing::Values(1u, 2u),
                         [](const auto& version) { return "V" + std::to_string(version.param); });

class GrantVersion2 : public GrantRig {
 protected:
  void SetUp() override { ASSERT_EQ(set_version(guest_, 2), 0); }
};

TEST_F(GrantVersion2, PartOfAPageIsCopiedWithinItsBounds) {
  grant_entry_v2_t& entry = guest_.grants().entry_v2(kRef);
  guest_.grants().permit(kRef, user_.id(), page_);
  entry.sub_page.page_off = 100;
  entry.sub_page.length = 50;
  entry.hdr.flags |= GTF_sub_page;
  EXPECT_EQ(copy(granted(100), local(own_, 0), 50, GNTCOPY_source_gref), GNTST_okay);
  EXPECT_EQ(copy(granted(149), local(own_, 0), 1, GNTCOPY_source_gref), GNTST_okay);
  EXPECT_EQ(copy(granted(99), local(own_, 0), 1, GNTCOPY_source_gref), GNTST_general_error);
  EXPECT_EQ(copy(granted(149), local(own_, 0), 2, GNTCOPY_source_gref), GNTST_general_error);
  EXPECT_EQ(copy(local(own_, 0), granted(100), 50, GNTCOPY_dest_gref), GNTST_okay);
}

TEST_F(GrantVersion2, FramesHave64Bits) {
  guest_.grants().permit(kRef, user_.id(), uint64_t{1} << 32 | page_);
  EXPECT_EQ(map().status, GNTST_bad_page) << "and are not truncated";
  guest_.grants().permit(3, user_.id(), uint64_t{1} << 32 | page_);
  EXPECT_EQ(set_version(guest_, 1), -XEN_ERANGE) << "a reserved entry that version 1 can't name";
}

TEST_F(GrantVersion2, StatusFramesArePlacedAndGrowWithTheTable) {
  EXPECT_EQ(add_grant_frame(XENMAPIDX_grant_table_status, kHole), 0);
  EXPECT_EQ(reinterpret_cast<grant_status_t*>(guest_.page_address(kHole)),
            &guest_.grants().status_word(0));
  EXPECT_EQ(add_grant_frame(2, kHole + 1), 0);
  EXPECT_EQ(guest_.grants().frames(), 3u);
  EXPECT_EQ(guest_.grants().status_frames(), 1u);
  EXPECT_EQ(add_grant_frame(XENMAPIDX_grant_table_status | 1, kHole + 2), 0);
  EXPECT_EQ(guest_.grants().frames(), 16u);
  EXPECT_EQ(add_grant_frame(XENMAPIDX_grant_table_status | 8, kHole + 3), -XEN_EINVAL);
  EXPECT_EQ(set_version(guest_, 1), 0);
  EXPECT_EQ(guest_.page_address(kHole), nullptr) << "version 1 has none";
  EXPECT_EQ(add_grant_frame(XENMAPIDX_grant_table_status, kHole), -XEN_EINVAL);
}

class OldXen : public GrantRig {
 protected:
  OldXen() : GrantRig({.frames = 4096, .max_grant_version = 1, .grant_swap = false}) {}
};

TEST_F(OldXen, OffersNoVersion2AndNoSwap) {
  EXPECT_EQ(set_version(guest_, 2), -XEN_ENOSYS);
  EXPECT_EQ(set_version(guest_, 1), 0);
  gnttab_swap_grant_ref_t swap{kRef, kRef + 1, 0};
  EXPECT_EQ(op(guest_, GNTTABOP_swap_grant_ref, swap), -XEN_ENOSYS);
}

class OldestXen : public GrantRig {
 protected:
  OldestXen() : GrantRig({.frames = 4096, .grant_versions = false}) {}
};

TEST_F(OldestXen, KnowsNoVersions) {
  EXPECT_EQ(set_version(guest_, 1), -XEN_ENOSYS);
  gnttab_get_version_t version{};
  version.dom = DOMID_SELF;
  EXPECT_EQ(op(guest_, GNTTABOP_get_version, version), -XEN_ENOSYS);
}

}  // namespace
}  // namespace ringside::sim
