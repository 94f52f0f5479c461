#include "protocols/xenbus/grant_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "protocols/xenbus/host_platform_test.hpp"

namespace ringside::xenbus {
namespace {

/// A Xen with two grant frames of either version.
class TwoFrames final : public Hypercall {
 public:
  explicit TwoFrames(uint32_t newest) : newest_(newest) {}
  int64_t call(unsigned number, uint64_t a1, uint64_t a2, uint64_t, uint64_t, uint64_t) override {
    if (number == __HYPERVISOR_memory_op && a1 == XENMEM_maximum_gpfn) return highest;
    if (number == __HYPERVISOR_memory_op && a1 == XENMEM_add_to_physmap) {
      const auto& add = *reinterpret_cast<xen_add_to_physmap*>(a2);
      if (refused && add.idx == *refused) return -XEN_EINVAL;
      placed.push_back(add.idx);
    }
    return number == __HYPERVISOR_grant_table_op ? grant_op(a1, a2) : 0;
  }

  int64_t highest = 0x1000;
  std::optional<uint64_t> refused;  ///< the index of a frame that it does not give
  std::vector<uint64_t> placed;     ///< indices of frames, in order
  uint32_t version = 1;

 private:
  int64_t grant_op(uint64_t command, uint64_t argument) {
    if (command == GNTTABOP_query_size) {
      auto& size = *reinterpret_cast<gnttab_query_size*>(argument);
      size.max_nr_frames = 2;
      size.status = GNTST_okay;
    }
    if (command == GNTTABOP_get_version) {
      reinterpret_cast<gnttab_get_version*>(argument)->version = version;
    }
    if (command == GNTTABOP_set_version) {
      const uint32_t wanted = reinterpret_cast<gnttab_set_version*>(argument)->version;
      if (wanted > newest_) return -XEN_ENOSYS;
      version = wanted;
    }
    return 0;
  }

  uint32_t newest_;
};

/// A table of the version that the test's parameter names.
class GrantTableTest : public testing::TestWithParam<uint32_t> {
 protected:
  void SetUp() override {
    platform_.settings["GrantTableVersion"] = GetParam();
    ASSERT_EQ(table_->start(), Status::kOk);
    ASSERT_EQ(table_->version(), GetParam());
  }
  bool v2() const { return GetParam() == 2; }
  unsigned per_frame() const { return v2() ? 256 : 512; }

  Owned<GrantCache> cache(uint32_t reserve = 0, uint32_t limit = 64) {
    auto made = table_->create_cache("test", reserve, limit);
    EXPECT_TRUE(made.ok());
    return *std::move(made);
  }
  std::byte* entry(GrantRef ref) {
    const unsigned bytes = v2() ? sizeof(grant_entry_v2_t) : sizeof(grant_entry_v1_t);
    return platform_.frames[1000 + ref / per_frame()].data() + ref % per_frame() * bytes;
  }
  grant_entry_v1_t& v1(GrantRef ref) { return *reinterpret_cast<grant_entry_v1_t*>(entry(ref)); }
  grant_entry_v2_t& v2(GrantRef ref) { return *reinterpret_cast<grant_entry_v2_t*>(entry(ref)); }
  uint16_t& flags(GrantRef ref) { return v1(ref).flags; }
  uint64_t frame(GrantRef ref) { return v2() ? v2(ref).full_page.frame : v1(ref).frame; }
  uint16_t& marks(GrantRef ref) {
    if (!v2()) return flags(ref);
    return reinterpret_cast<grant_status_t*>(platform_.frames[1002].data())[ref];
  }
  void peer_maps(GrantRef ref) { marks(ref) |= GTF_reading | GTF_writing; }
  void peer_unmaps(GrantRef ref) {
    marks(ref) &= static_cast<uint16_t>(~(GTF_reading | GTF_writing));
  }

  HostPlatform platform_;
  TwoFrames xen_{2};
  Hypercalls calls_{xen_};
  std::optional<GrantTable> table_{std::in_place, platform_, calls_};
};

INSTANTIATE_TEST_SUITE_P(Versions, GrantTableTest, testing::Values(1u, 2u),
                         [](const auto& version) { return "V" + std::to_string(version.param); });

TEST_P(GrantTableTest, GRANT_001_PermitFillsTheEntryAndKeepsOffTheReservedOnes) {
  auto grants = cache();
  const auto first = grants->permit(3, 0x1234, Access::kReadOnly);
  ASSERT_TRUE(first.ok());
  EXPECT_GE(*first, GrantTable::kFirstUsable);
  EXPECT_EQ(v1(*first).domid, 3);
  EXPECT_EQ(frame(*first), 0x1234u);
  EXPECT_EQ(flags(*first), GTF_permit_access | GTF_readonly);
  EXPECT_EQ(grants->revoke(*first), Status::kOk);
  EXPECT_EQ(flags(*first), 0);
}

TEST_P(GrantTableTest, GRANT_002_AMappedGrantIsBusyAndStaysLive) {
  auto grants = cache();
  const GrantRef ref = *grants->permit(3, 5, Access::kReadWrite);
  peer_maps(ref);
  EXPECT_EQ(grants->revoke(ref), Status::kBusy);
  const auto others = table_->free_references();
  EXPECT_NE(*grants->permit(3, 6, Access::kReadWrite), ref) << "it is not handed out again";
  EXPECT_EQ(table_->free_references(), others);
  peer_unmaps(ref);
  EXPECT_EQ(grants->revoke(ref), Status::kOk);
}

TEST_P(GrantTableTest, GRANT_002_RevokeSeesAPeerThatLetsGoMeanwhile) {
  auto grants = cache();
  const GrantRef ref = *grants->permit(3, 5, Access::kReadWrite);
  peer_maps(ref);
  platform_.on_yield = [&] { peer_unmaps(ref); };
  EXPECT_EQ(grants->revoke(ref), Status::kOk);
}

TEST_P(GrantTableTest, GRANT_002_AParkedPageIsFreedOnceThePeerLetsGo) {
  auto grants = cache(0, 1);
  std::byte memory{};
  const GrantRef ref = *grants->permit(3, 5, Access::kReadWrite);
  peer_maps(ref);
  grants->park(ref, {.address = &memory, .frame = 5});
  EXPECT_EQ(table_->parked(), 1u);
  const auto other = grants->permit(3, 6, Access::kReadWrite);
  ASSERT_TRUE(other.ok()) << "the parked reference counts no more";
  EXPECT_TRUE(platform_.released.empty());
  peer_unmaps(ref);
  EXPECT_EQ(grants->revoke(*other), Status::kOk);
  EXPECT_EQ(platform_.released, std::vector<platform::Frame>{5});
  EXPECT_EQ(table_->parked(), 0u);
  EXPECT_EQ(flags(ref), 0);
}

TEST_P(GrantTableTest, GRANT_002_ParkedPagesAreAllLookedAtInTurn) {
  auto grants = cache();
  std::byte memory{};
  std::vector<GrantRef> refs;
  for (platform::Frame frame = 0; frame < 12; ++frame) {
    refs.push_back(*grants->permit(3, frame, Access::kReadWrite));
    peer_maps(refs.back());
    grants->park(refs.back(), {.address = &memory, .frame = frame});
  }
  peer_unmaps(refs[11]);
  const GrantRef other = *grants->permit(3, 100, Access::kReadWrite);
  for (int i = 0; i < 3; ++i) EXPECT_NE(grants->revoke(refs[0]), Status::kOk);
  EXPECT_EQ(platform_.released, std::vector<platform::Frame>{11});
  EXPECT_EQ(grants->revoke(other), Status::kOk);
}

TEST_P(GrantTableTest, GRANT_002_ForeignAndFreeReferencesAreRefused) {
  auto grants = cache();
  EXPECT_EQ(grants->revoke(0), Status::kInvalidArgument);
  EXPECT_EQ(grants->revoke(40), Status::kInvalidArgument);
  EXPECT_EQ(grants->revoke(per_frame()), Status::kInvalidArgument);
  EXPECT_EQ(grants->revoke(0xffffffffu), Status::kInvalidArgument);
}

TEST_P(GrantTableTest, GRANT_004_FramesAbove32BitsAreNeverTruncated) {
  auto grants = cache();
  const auto high = grants->permit(3, uint64_t{1} << 32, Access::kReadWrite);
  EXPECT_EQ(high.status(), v2() ? Status::kOk : Status::kNotSupported);
  if (high) {
    EXPECT_EQ(frame(*high), uint64_t{1} << 32);
  }
  EXPECT_TRUE(grants->permit(3, 0xffffffffu, Access::kReadWrite).ok());
}

TEST_P(GrantTableTest, GrowsToItsLimitAndEachReferenceIsHandedOutOnce) {
  auto grants = cache(0, 5000);
  std::set<GrantRef> seen;
  for (;;) {
    const auto ref = grants->permit(3, 5, Access::kReadWrite);
    if (!ref) {
      EXPECT_EQ(ref.status(), Status::kNoResources);
      break;
    }
    EXPECT_TRUE(seen.insert(*ref).second) << *ref;
  }
  EXPECT_EQ(seen.size(), 2 * per_frame() - GrantTable::kFirstUsable);
  for (const GrantRef ref : seen) EXPECT_EQ(grants->revoke(ref), Status::kOk);
}

TEST_P(GrantTableTest, ACacheKeepsToItsLimitAndGivesBackItsReserve) {
  const uint32_t before = table_->free_references();
  {
    auto grants = cache(10, 12);
    EXPECT_EQ(table_->free_references(), before - 10);
    std::vector<GrantRef> refs;
    for (int i = 0; i < 12; ++i) refs.push_back(*grants->permit(3, 5, Access::kReadWrite));
    EXPECT_EQ(grants->permit(3, 5, Access::kReadWrite).status(), Status::kNoResources);
    for (const GrantRef ref : refs) EXPECT_EQ(grants->revoke(ref), Status::kOk);
  }
  EXPECT_EQ(table_->free_references(), before);
  EXPECT_TRUE(platform_.lines.empty());
}

TEST_P(GrantTableTest, WhatIsNotRevokedIsReportedByTheCachesName) {
  { (void)cache()->permit(3, 5, Access::kReadWrite); }
  EXPECT_EQ(std::count(platform_.lines.begin(), platform_.lines.end(), "test"), 1);
}

TEST_P(GrantTableTest, GRANT_005_APeerThatMapsWhileAccessEndsKeepsThePage) {
  auto grants = cache();
  const GrantRef ref = *grants->permit(3, 5, Access::kReadWrite);
  peer_maps(ref);
  EXPECT_EQ(grants->revoke(ref), Status::kBusy);
  // Version 2: no new map begins from now on. Version 1: the entry stays whole, for its flags
  // are where Xen marks it.
  EXPECT_EQ((flags(ref) & GTF_type_mask) == GTF_permit_access, !v2());
  EXPECT_EQ(grants->revoke(ref), Status::kBusy);
  EXPECT_EQ(frame(ref), 5u);
  peer_unmaps(ref);
  EXPECT_EQ(grants->revoke(ref), Status::kOk);
  EXPECT_EQ(frame(ref), 0u);
  EXPECT_EQ(grants->revoke(ref), Status::kInvalidArgument);
}

TEST_P(GrantTableTest, GRANT_006_AQueryTellsWhatIsGrantedAndOnlyThat) {
  auto grants = cache();
  const GrantRef ref = *grants->permit(3, 0xabcd, Access::kReadOnly);
  const auto known = table_->query(ref);
  ASSERT_TRUE(known.ok());
  EXPECT_EQ(known->frame, 0xabcdu);
  EXPECT_EQ(known->access, Access::kReadOnly);
  EXPECT_EQ(grants->revoke(ref), Status::kOk);
  EXPECT_EQ(table_->query(ref).status(), Status::kNotFound);
  EXPECT_EQ(table_->query(0).status(), Status::kNotFound);
  EXPECT_EQ(table_->query(~0u).status(), Status::kNotFound);
}

TEST_P(GrantTableTest, GRANT_003_AfterARestoreEveryFrameIsInPlaceAndOldGrantsAreOver) {
  auto grants = cache(0, 2000);
  std::byte memory{};
  std::vector<GrantRef> refs;
  for (unsigned i = 0; i < per_frame() + 10; ++i) {
    refs.push_back(*grants->permit(3, i, Access::kReadWrite));
  }
  peer_maps(refs[7]);
  peer_maps(refs[8]);
  EXPECT_EQ(grants->revoke(refs[8]), Status::kBusy);
  grants->park(refs[8], {.address = &memory, .frame = 8});
  const std::vector<uint64_t> before = xen_.placed;
  // Another Xen, and a table that knows nothing.
  xen_.placed.clear();
  xen_.version = 1;
  for (auto& [frame, page] : platform_.frames) page.fill(std::byte{0});
  ASSERT_EQ(table_->resume(), Status::kOk);
  EXPECT_EQ(xen_.version, GetParam());
  EXPECT_EQ(std::set<uint64_t>(xen_.placed.begin(), xen_.placed.end()),
            std::set<uint64_t>(before.begin(), before.end()));
  for (const GrantRef ref : refs) {
    if (ref != refs[8]) {
      EXPECT_EQ(grants->revoke(ref), Status::kOk);
    }
  }
  EXPECT_EQ(table_->parked(), 0u);
  EXPECT_EQ(platform_.released, std::vector<platform::Frame>{8});
  const GrantRef again = *grants->permit(3, 77, Access::kReadWrite);
  EXPECT_EQ(frame(again), 77u);
  EXPECT_EQ(grants->revoke(again), Status::kOk);
}

TEST_P(GrantTableTest, GRANT_003_ACancelledSuspendLeavesGrantsLive) {
  auto grants = cache();
  const GrantRef ref = *grants->permit(3, 5, Access::kReadWrite);
  peer_maps(ref);
  ASSERT_EQ(table_->resume(), Status::kOk);
  EXPECT_EQ(grants->revoke(ref), Status::kBusy);
  peer_unmaps(ref);
  EXPECT_EQ(grants->revoke(ref), Status::kOk);
}

TEST_P(GrantTableTest, GRANT_003_AFrameThatXenDoesNotGiveIsNotCountedOn) {
  auto grants = cache(0, 2000);
  xen_.refused = 1;
  unsigned granted = 0;
  while (grants->permit(3, granted, Access::kReadWrite).ok()) ++granted;
  EXPECT_EQ(granted, per_frame() - GrantTable::kFirstUsable);
  xen_.refused.reset();
  EXPECT_TRUE(grants->permit(3, 5, Access::kReadWrite).ok()) << "and asked for again";
}

TEST_P(GrantTableTest, GRANT_008_FlagsThatMeanNothingDoNoHarm) {
  auto grants = cache();
  const GrantRef ref = *grants->permit(3, 5, Access::kReadWrite);
  marks(ref) |= 0xfe00;
  EXPECT_EQ(grants->revoke(ref), Status::kOk);
  EXPECT_EQ(flags(ref), 0);
}

/// Which version a table gets.
class GrantVersionTest : public testing::Test {
 protected:
  uint32_t version(TwoFrames& xen, uint32_t setting = 0) {
    platform_.settings["GrantTableVersion"] = setting;
    Hypercalls calls(xen);
    GrantTable table(platform_, calls);
    EXPECT_EQ(table.start(), Status::kOk);
    return table.version();
  }
  HostPlatform platform_;
};

TEST_F(GrantVersionTest, GRANT_004_Version2IsForFramesAbove32BitsWhereXenOffersIt) {
  TwoFrames xen(2);
  TwoFrames old(1);
  EXPECT_EQ(version(xen), 1u);
  xen.highest = 0xffffffff;
  EXPECT_EQ(version(xen), 1u);
  xen.highest = old.highest = 0x100000000;
  EXPECT_EQ(version(xen), 2u);
  EXPECT_EQ(version(old), 1u);
  EXPECT_EQ(version(xen, 1), 1u) << "as the setting wants it";
  EXPECT_EQ(version(old, 2), 1u) << "as Xen has it";
}

}  // namespace
}  // namespace ringside::xenbus
