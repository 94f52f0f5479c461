#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/host.hpp"

namespace ringside::conformance {
namespace {

using xenbus::Access;
using xenbus::GrantRef;

/// Two guests with XENBUS: the one grants, the other maps.
class ForeignTest : public testing::TestWithParam<uint32_t> {
 protected:
  static constexpr unsigned kPages = 3;

  void SetUp() override {
    if (const auto why = chosen_xen_lacks(sim::XenFeature::kGrantMaps)) GTEST_SKIP() << *why;
    giver_.run([this] {
      cache_ = *giver_.services().grants.create_cache("foreign test", 0, 16);
      for (unsigned i = 0; i < kPages; ++i) {
        pages_[i] = *giver_.platform().allocate_page();
        refs_[i] = *cache_->permit(taker_.domid(), pages_[i].frame, Access::kReadWrite);
      }
    });
  }
  void TearDown() override {
    giver_.run([this] {
      if (!cache_) return;
      for (unsigned i = 0; i < kPages; ++i) {
        EXPECT_EQ(cache_->revoke(refs_[i]), Status::kOk) << i;
        giver_.platform().release_page(pages_[i]);
      }
      cache_.reset();
    });
    EXPECT_EQ(taker_.shut_down(), std::vector<std::string>{});
    EXPECT_EQ(giver_.shut_down(), std::vector<std::string>{});
  }
  Result<Owned<xenbus::ForeignMap>> map(std::span<const GrantRef> refs,
                                        Access access = Access::kReadWrite) {
    return taker_.bus().foreign().map(giver_.domid(), refs, access);
  }

  Host host_;
  DriverGuest giver_{host_, {.name = "giver"}, nullptr, {{"GrantTableVersion", GetParam()}}};
  DriverGuest taker_{host_, {.name = "taker"}};
  Owned<xenbus::GrantCache> cache_;
  std::array<platform::Page, kPages> pages_;
  std::array<GrantRef, kPages> refs_{};
};

INSTANTIATE_TEST_SUITE_P(Versions, ForeignTest, testing::Values(1u, 2u),
                         [](const auto& version) { return "V" + std::to_string(version.param); });

TEST_P(ForeignTest, GRANT_007_APeersPagesAreSeenInOrderAndHeldWhileMapped) {
  taker_.run([&] {
    auto mapped = *map(refs_);
    ASSERT_EQ(mapped->count(), kPages);
    for (unsigned i = 0; i < kPages; ++i) {
      pages_[i].address[5] = std::byte(i + 1);
      EXPECT_EQ(mapped->page(i)[5], std::byte(i + 1));
      mapped->page(i)[6] = std::byte(i + 9);
      EXPECT_EQ(pages_[i].address[6], std::byte(i + 9));
    }
    EXPECT_EQ(cache_->revoke(refs_[1]), Status::kBusy);
    mapped.reset();
    EXPECT_EQ(cache_->revoke(refs_[1]), Status::kOk);
    refs_[1] = *cache_->permit(taker_.domid(), pages_[1].frame, Access::kReadWrite);
  });
}

TEST_P(ForeignTest, GRANT_007_AllPagesAreMappedOrNone) {
  taker_.run([&] {
    const std::array<GrantRef, 3> wrong = {refs_[0], refs_[1], 200};
    EXPECT_EQ(map(wrong).status(), Status::kIoError);
    const std::array<GrantRef, 2> beyond = {refs_[0], 1u << 20};
    EXPECT_EQ(map(beyond).status(), Status::kInvalidArgument);
    EXPECT_EQ(map({}).status(), Status::kInvalidArgument);
    EXPECT_EQ(taker_.bus().foreign().map(77, refs_, Access::kReadOnly).status(), Status::kNotFound);
  });
  EXPECT_EQ(taker_.domain().grants().map_count(), 0u);
}

TEST_P(ForeignTest, GRANT_007_AnAllocationThatFailsLeavesNoMap) {
  for (uint64_t n = 1; n <= 3; ++n) {
    taker_.run([&] {
      taker_.guest().fail_allocation_at(n);
      EXPECT_EQ(map(refs_).status(), Status::kNoMemory) << n;
      taker_.guest().fail_allocation_at(0);
    });
    EXPECT_EQ(taker_.domain().grants().map_count(), 0u);
  }
}

TEST_P(ForeignTest, GRANT_007_AfterARestoreTheEndOfAnOldMapTouchesNoNewOne) {
  taker_.run([&] {
    auto old = *map(std::span(refs_).first(1));
    // Xen has forgotten the map, and gives its handle to the next.
    taker_.domain().grants().unmap_all();
    taker_.bus().foreign().resume();
    auto fresh = *map(std::span(refs_).last(1));
    old.reset();
    EXPECT_EQ(taker_.domain().grants().map_count(), 1u);
    pages_[2].address[0] = std::byte{1};
    EXPECT_EQ(fresh->page(0)[0], std::byte{1});
  });
}

TEST_P(ForeignTest, GRANT_007_AMapThatXenDoesNotEndKeepsItsFrameNumbers) {
  taker_.run([&] {
    auto lost = *map(std::span(refs_).first(1));
    taker_.domain().grants().unmap_all();
    lost.reset();
    const auto lines = taker_.guest().log();
    ASSERT_FALSE(lines.empty());
    EXPECT_NE(lines.back().find("its frame numbers are lost"), std::string::npos);
  });
  const auto findings = taker_.shut_down();
  EXPECT_EQ(findings.size(), 1u) << "the reserved frames";
}

}  // namespace
}  // namespace ringside::conformance
