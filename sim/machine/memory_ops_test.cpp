// memory_op as an HVM guest makes it, against what Xen answers. Source: xen/memory.h.

#include <gtest/gtest.h>

#include <array>
#include <span>
#include <vector>

#include "sim/machine/machine.hpp"
#include "sim/machine/xen_errno.hpp"

namespace ringside::sim {
namespace {

/// Two domains of 64 pages in a machine of some 300; each may have 80.
class MemoryOpsTest : public testing::Test {
 protected:
  static constexpr uint32_t kPages = 64;
  static constexpr uint32_t kMaxPages = 80;

  template <typename T>
  int64_t op(Domain& domain, unsigned command, T& argument) {
    return machine_.hypercall(domain, 0, __HYPERVISOR_memory_op, command,
                              reinterpret_cast<uint64_t>(&argument));
  }
  int64_t change(unsigned command, std::span<xen_pfn_t> extents, unsigned order = 0,
                 domid_t who = DOMID_SELF) {
    xen_memory_reservation_t op_{};
    op_.extent_start.p = extents.data();
    op_.nr_extents = extents.size();
    op_.extent_order = order;
    op_.domid = who;
    return op(guest_, command, op_);
  }
  int64_t decrease(std::vector<xen_pfn_t> extents, unsigned order = 0) {
    return change(XENMEM_decrease_reservation, extents, order);
  }
  int64_t populate(std::vector<xen_pfn_t> extents, unsigned order = 0) {
    return change(XENMEM_populate_physmap, extents, order);
  }
  int64_t ask(unsigned command, domid_t who = DOMID_SELF) {
    xen_memory_domain argument{.domid = who};
    return op(guest_, command, argument);
  }
  int64_t add(unsigned space, uint64_t index, uint64_t gfn, uint16_t size = 0) {
    xen_add_to_physmap_t argument{};
    argument.domid = DOMID_SELF;
    argument.size = size;
    argument.space = space;
    argument.idx = index;
    argument.gpfn = gfn;
    return op(guest_, XENMEM_add_to_physmap, argument);
  }

  std::unique_ptr<World> world_ = World::deterministic(1);
  Machine machine_{*world_, {.frames = 400, .max_grant_frames = 4}};
  Domain& guest_ =
      machine_.create_domain({.name = "guest", .max_pages = kMaxPages, .pages = kPages});
  Domain& other_ =
      machine_.create_domain({.name = "other", .max_pages = kMaxPages, .pages = kPages});
};

TEST_F(MemoryOpsTest, WhatADomainHasIsNotWhatItMayHave) {
  EXPECT_EQ(ask(XENMEM_current_reservation), kPages);
  EXPECT_EQ(ask(XENMEM_maximum_reservation), kMaxPages);
  EXPECT_EQ(ask(XENMEM_current_reservation, guest_.id()), kPages);
  EXPECT_EQ(ask(XENMEM_current_reservation, other_.id()), -XEN_EPERM);
  EXPECT_EQ(ask(XENMEM_maximum_reservation, 77), -XEN_ESRCH);
  EXPECT_EQ(machine_.hypercall(guest_, 0, __HYPERVISOR_memory_op, XENMEM_current_reservation, 0),
            -XEN_EFAULT);
  EXPECT_EQ(machine_.hypercall(guest_, 0, __HYPERVISOR_memory_op, XENMEM_maximum_ram_page, 0),
            machine_.config().frames - 1)
      << "takes no argument and never fails";
  guest_.set_max_pages(10);
  EXPECT_EQ(ask(XENMEM_maximum_reservation), 10);
  EXPECT_EQ(ask(XENMEM_current_reservation), kPages) << "a lower limit takes nothing away";
}

TEST_F(MemoryOpsTest, PagesComeAndGoOneByOne) {
  const uint32_t before = machine_.frames().unreserved();
  EXPECT_EQ(decrease({1, 2, 3}), 3);
  EXPECT_EQ(ask(XENMEM_current_reservation), kPages - 3);
  EXPECT_EQ(machine_.frames().unreserved(), before + 3);
  EXPECT_EQ(populate({2, 3}), 2);
  EXPECT_EQ(ask(XENMEM_current_reservation), kPages - 1);
  EXPECT_EQ(machine_.frames().unreserved(), before + 1);
  ASSERT_NE(guest_.page_address(2), nullptr);
  EXPECT_EQ(guest_.page_address(2)[17], std::byte{0});
  EXPECT_EQ(guest_.page_address(1), nullptr);
}

TEST_F(MemoryOpsTest, TheWorkEndsAtTheFirstExtentThatCannotBeDone) {
  EXPECT_EQ(decrease({1, 2, 1, 3}), 2) << "page 1 was gone by then";
  EXPECT_EQ(ask(XENMEM_current_reservation), kPages - 2);
  EXPECT_EQ(populate({1, 1u << 20, 2}), 1) << "no such frame number";
  EXPECT_EQ(ask(XENMEM_current_reservation), kPages - 1);
}

TEST_F(MemoryOpsTest, ADomainGetsNoMoreThanItMayHave) {
  std::vector<xen_pfn_t> holes;
  for (uint32_t i = 1; i <= 20; ++i) holes.push_back(kPages + i);
  EXPECT_EQ(populate(holes), kMaxPages - kPages);
  EXPECT_EQ(ask(XENMEM_current_reservation), kMaxPages);
  guest_.set_max_pages(kPages);
  EXPECT_EQ(decrease({holes[0]}), 1);
  EXPECT_EQ(populate({holes[0]}), 0) << "above the limit it can only shrink";
}

TEST_F(MemoryOpsTest, APopulateIsPartialWhenXenHasNoneLeft) {
  EXPECT_EQ(decrease({1, 2, 3, 4}), 4);
  const auto hog = machine_.frames().allocate(machine_.frames().unreserved() - 3);
  ASSERT_TRUE(hog);
  EXPECT_EQ(populate({1, 2, 3, 4}), 3);
  EXPECT_EQ(populate({4}), 0);
  EXPECT_FALSE(other_.allocate_pages(kPages).empty()) << "what a domain has, nobody takes";
}

TEST_F(MemoryOpsTest, ExtentsHaveOrders) {
  EXPECT_EQ(decrease({8, 16}, 3), 2);
  EXPECT_EQ(ask(XENMEM_current_reservation), kPages - 16);
  EXPECT_EQ(populate({8}, 3), 1);
  for (uint64_t gfn = 8; gfn < 16; ++gfn) {
    EXPECT_EQ(*guest_.machine_frame(gfn), *guest_.machine_frame(8) + gfn - 8) << "one run";
  }
  EXPECT_EQ(populate({16}, 10), 0) << "no guest gets extents beyond 2 MiB";
  EXPECT_EQ(decrease({60}, 3), 0) << "reaches beyond what there is";
  EXPECT_EQ(ask(XENMEM_current_reservation), kPages - 8 - 5) << "but what went is gone";
}

TEST_F(MemoryOpsTest, AnExtentThatTheMachineCannotGiveInOnePieceIsNotGiven) {
  EXPECT_EQ(decrease({8}, 3), 1);
  (void)machine_.frames().allocate(machine_.frames().unreserved() - 4);
  EXPECT_EQ(populate({8}, 3), 0);
  EXPECT_EQ(ask(XENMEM_current_reservation), kPages - 8);
}

TEST_F(MemoryOpsTest, AnIncreaseIsChargedButHasNoFrameNumber) {
  std::array<xen_pfn_t, 20> written{};
  EXPECT_EQ(change(XENMEM_increase_reservation, written), kMaxPages - kPages);
  EXPECT_EQ(written[0], 0u) << "machine frame numbers are not a guest's business";
  EXPECT_EQ(ask(XENMEM_current_reservation), kMaxPages);
  const uint32_t before = machine_.frames().unreserved();
  machine_.destroy_domain(guest_.id());
  EXPECT_GE(machine_.frames().unreserved(), before + kMaxPages);
}

TEST_F(MemoryOpsTest, OnlyItsOwnReservationIsAGuestsBusiness) {
  std::array<xen_pfn_t, 1> extent{1};
  EXPECT_EQ(change(XENMEM_decrease_reservation, extent, 0, other_.id()), -XEN_EPERM);
  EXPECT_EQ(change(XENMEM_decrease_reservation, extent, 0, 77), 0) << "nothing done, no error";
  EXPECT_EQ(other_.populated_pages(), kPages);
  xen_memory_reservation_t op_{};
  op_.extent_start.p = extent.data();
  op_.nr_extents = 1;
  op_.domid = other_.id();
  EXPECT_EQ(op(machine_.dom0(), XENMEM_decrease_reservation, op_), 1);
  EXPECT_EQ(other_.populated_pages(), kPages - 1);
  op_.mem_flags = XENMEMF_populate_on_demand;
  op_.domid = DOMID_SELF;
  EXPECT_EQ(op(guest_, XENMEM_populate_physmap, op_), 0);
}

TEST_F(MemoryOpsTest, WhatCannotBeReadIsNotDone) {
  for (const unsigned command : {XENMEM_decrease_reservation, XENMEM_populate_physmap}) {
    EXPECT_EQ(machine_.hypercall(guest_, 0, __HYPERVISOR_memory_op, command, 0), 0);
    EXPECT_EQ(machine_.hypercall(guest_, 0, __HYPERVISOR_memory_op, command, ~0ull - 64), 0);
    xen_memory_reservation_t op_{};
    op_.nr_extents = 1;
    op_.domid = DOMID_SELF;
    for (const uint64_t bad : {uint64_t{0}, uint64_t{8}, uint64_t{1} << 63}) {
      op_.extent_start.p = reinterpret_cast<xen_pfn_t*>(bad);
      EXPECT_EQ(op(guest_, command, op_), 0);
    }
    op_.nr_extents = ~0ul;
    EXPECT_EQ(op(guest_, command, op_), 0);
  }
  EXPECT_EQ(guest_.populated_pages(), kPages);
}

TEST_F(MemoryOpsTest, AnExchangeIsNotForTranslatedGuests) {
  xen_memory_exchange_t exchange{};
  EXPECT_EQ(op(guest_, XENMEM_exchange, exchange), -XEN_EOPNOTSUPP);
  EXPECT_EQ(machine_.hypercall(guest_, 0, __HYPERVISOR_memory_op, XENMEM_exchange, 0), -XEN_EFAULT);
}

TEST_F(MemoryOpsTest, PagesMoveAloneAndInRanges) {
  const uint64_t hole = guest_.reserve_frames(4);
  ASSERT_TRUE(guest_.back(5));
  guest_.page_address(5)[0] = std::byte{42};
  EXPECT_EQ(add(XENMAPSPACE_gmfn, 5, hole), 0);
  EXPECT_EQ(guest_.page_address(5), nullptr);
  EXPECT_EQ(guest_.page_address(hole)[0], std::byte{42});
  EXPECT_EQ(add(XENMAPSPACE_gmfn, 5, hole), -XEN_EINVAL);
  EXPECT_EQ(add(XENMAPSPACE_gmfn_range, 6, hole + 1, 3), 0);
  EXPECT_EQ(guest_.page_address(8), nullptr);
  EXPECT_NE(guest_.page_address(hole + 3), nullptr);
  EXPECT_EQ(add(XENMAPSPACE_gmfn_range, 9, guest_.max_gfn() - 1, 2), -XEN_EINVAL);
  EXPECT_NE(guest_.page_address(guest_.max_gfn() - 1), nullptr) << "the first went";
  EXPECT_EQ(ask(XENMEM_current_reservation), kPages) << "a move gives and takes nothing";
}

TEST_F(MemoryOpsTest, TheSpacesAGuestCannotHaveAreRefused) {
  const uint64_t hole = guest_.reserve_frames(1);
  EXPECT_EQ(add(XENMAPSPACE_shared_info, 1, hole), -XEN_EINVAL);
  EXPECT_EQ(add(XENMAPSPACE_shared_info, 0, guest_.max_gfn()), -XEN_EINVAL);
  EXPECT_EQ(add(XENMAPSPACE_gmfn_foreign, 1, hole), -XEN_ENOSYS) << "for the batched call only";
  EXPECT_EQ(add(XENMAPSPACE_dev_mmio, 1, hole), -XEN_EINVAL);
  EXPECT_EQ(add(99, 0, hole), -XEN_EINVAL);
  xen_add_to_physmap_t foreign{};
  foreign.domid = other_.id();
  EXPECT_EQ(op(guest_, XENMEM_add_to_physmap, foreign), -XEN_EPERM);
  foreign.domid = 77;
  EXPECT_EQ(op(guest_, XENMEM_add_to_physmap, foreign), -XEN_ESRCH);
}

TEST_F(MemoryOpsTest, ABatchHasAnErrorForEachPage) {
  const uint64_t hole = guest_.reserve_frames(3);
  xen_ulong_t indexes[] = {0, 99, 1};
  xen_pfn_t gfns[] = {hole, hole + 1, hole + 2};
  int errors[] = {7, 7, 7};
  xen_add_to_physmap_batch_t batch{};
  batch.domid = DOMID_SELF;
  batch.space = XENMAPSPACE_grant_table;
  batch.size = 3;
  batch.idxs.p = indexes;
  batch.gpfns.p = gfns;
  batch.errs.p = errors;
  EXPECT_EQ(op(guest_, XENMEM_add_to_physmap_batch, batch), 0);
  EXPECT_EQ(errors[0], 0);
  EXPECT_EQ(errors[1], -XEN_EINVAL);
  EXPECT_EQ(errors[2], 0);
  EXPECT_EQ(guest_.machine_frame(hole + 2), guest_.grants().shared_frame(1));
  batch.space = XENMAPSPACE_gmfn_range;
  EXPECT_EQ(op(guest_, XENMEM_add_to_physmap_batch, batch), -XEN_EOPNOTSUPP);
  batch.space = XENMAPSPACE_gmfn_foreign;
  EXPECT_EQ(op(guest_, XENMEM_add_to_physmap_batch, batch), -XEN_EPERM);
  batch.errs.p = nullptr;
  EXPECT_EQ(op(guest_, XENMEM_add_to_physmap_batch, batch), -XEN_EFAULT);
}

TEST_F(MemoryOpsTest, WhatIsRemovedIsNotThereAnyMore) {
  xen_remove_from_physmap_t remove{.domid = DOMID_SELF, .gpfn = guest_.reserve_frames(1)};
  EXPECT_EQ(op(guest_, XENMEM_remove_from_physmap, remove), -XEN_ENOENT);
  EXPECT_EQ(add(XENMAPSPACE_shared_info, 0, remove.gpfn), 0);
  EXPECT_EQ(op(guest_, XENMEM_remove_from_physmap, remove), 0);
  EXPECT_EQ(guest_.page_address(remove.gpfn), nullptr);
  EXPECT_EQ(ask(XENMEM_current_reservation), kPages);
}

TEST_F(MemoryOpsTest, TheMemoryMapIsWhatTheToolstackSet) {
  E820Entry read[4] = {};
  xen_memory_map_t map{};
  map.nr_entries = 4;
  map.buffer.p = read;
  EXPECT_EQ(op(guest_, XENMEM_memory_map, map), -XEN_ENOSYS) << "none was set";
  E820Entry set[] = {{0, 0xa0000, 1}, {0x100000, 0x3f00000, 1}, {0xfc000000, 0x4000000, 2}};
  xen_foreign_memory_map_t foreign{};
  foreign.domid = guest_.id();
  foreign.map.nr_entries = 3;
  foreign.map.buffer.p = set;
  EXPECT_EQ(op(guest_, XENMEM_set_memory_map, foreign), -XEN_EPERM);
  EXPECT_EQ(op(machine_.dom0(), XENMEM_set_memory_map, foreign), 0);
  EXPECT_EQ(op(guest_, XENMEM_memory_map, map), 0);
  EXPECT_EQ(map.nr_entries, 3u);
  EXPECT_EQ(uint64_t{read[2].address}, 0xfc000000u);
  map.nr_entries = 1;
  EXPECT_EQ(op(guest_, XENMEM_memory_map, map), 0);
  EXPECT_EQ(map.nr_entries, 1u);
  map.buffer.p = nullptr;
  EXPECT_EQ(op(guest_, XENMEM_memory_map, map), -XEN_EFAULT);
  foreign.map.nr_entries = 129;
  EXPECT_EQ(op(machine_.dom0(), XENMEM_set_memory_map, foreign), -XEN_EINVAL);
}

TEST_F(MemoryOpsTest, WhatIsNotForHvmGuestsDoesNotExist) {
  xen_machphys_mapping_t mapping{};
  EXPECT_EQ(op(guest_, XENMEM_machphys_mapping, mapping), -XEN_ENOSYS);
  EXPECT_EQ(op(guest_, XENMEM_machine_memory_map, mapping), -XEN_ENOSYS);
}

TEST_F(MemoryOpsTest, MemoryThatTheMachineLacksMakesNoDomain) {
  EXPECT_THROW(machine_.create_domain({.max_pages = 1000, .pages = 1000}), std::runtime_error);
  EXPECT_FALSE(machine_.create_domain({.max_pages = 10, .pages = 10}).allocate_pages(10).empty());
}

}  // namespace
}  // namespace ringside::sim
