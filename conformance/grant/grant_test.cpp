#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/host.hpp"

namespace ringside::conformance {
namespace {

using xenbus::Access;
using xenbus::GrantRef;

/// The grant table against the simulated Xen, dom0 being the peer; in both versions.
class GrantTest : public testing::TestWithParam<uint32_t> {
 protected:
  void SetUp() override {
    const auto why = chosen_xen_lacks(sim::XenFeature::kGrantVersions);
    if (why && GetParam() == 2) GTEST_SKIP() << *why;
    ASSERT_EQ(guest_.domain().grants().version(), GetParam());
  }
  ~GrantTest() override {
    guest_.run([this] { cache_.reset(); });
  }
  /// One page and its grant to dom0.
  GrantRef grant(Access access = Access::kReadWrite) {
    GrantRef ref = 0;
    guest_.run([&] {
      if (!cache_) cache_ = *guest_.services().grants.create_cache("grant test", 4, 2000);
      page_ = *guest_.platform().allocate_page();
      ref = *cache_->permit(0, page_.frame, access);
    });
    return ref;
  }
  Status revoke(GrantRef ref) {
    Status status = Status::kOk;
    guest_.run([&] { status = cache_->revoke(ref); });
    return status;
  }
  void free_page() {
    guest_.run([&] { guest_.platform().release_page(page_); });
  }
  sim::GrantMap map(GrantRef ref, bool read_only = false) {
    return dom0().map(guest_.domid(), ref, read_only);
  }
  sim::GrantTable& dom0() { return host_.machine().dom0().grants(); }

  Host host_;
  DriverGuest guest_{host_, {}, nullptr, {{"GrantTableVersion", GetParam()}}};
  Owned<xenbus::GrantCache> cache_;
  platform::Page page_;
};

INSTANTIATE_TEST_SUITE_P(Versions, GrantTest, testing::Values(1u, 2u),
                         [](const auto& version) { return "V" + std::to_string(version.param); });

TEST_P(GrantTest, GRANT_001_ReservedReferencesAreNeverHandedOut) {
  guest_.run([&] {
    auto cache = *guest_.services().grants.create_cache("all", 0, 4000);
    std::vector<GrantRef> refs;
    for (int i = 0; i < 1500; ++i) {
      const auto ref = cache->permit(0, 1, Access::kReadOnly);
      ASSERT_TRUE(ref.ok());
      EXPECT_GE(*ref, 32u);
      refs.push_back(*ref);
    }
    for (const GrantRef ref : refs) EXPECT_EQ(cache->revoke(ref), Status::kOk);
  });
  EXPECT_GT(guest_.domain().grants().frames(), 2u) << "the table has grown";
}

TEST_P(GrantTest, GRANT_001_ThePeerSeesTheVeryPage) {
  const GrantRef ref = grant();
  page_.address[17] = std::byte{0x5a};
  const auto mapped = map(ref);
  ASSERT_EQ(mapped.status, GNTST_okay);
  std::byte* const seen = host_.machine().frames().address(mapped.frame);
  EXPECT_EQ(seen[17], std::byte{0x5a});
  EXPECT_EQ(dom0().unmap(mapped.handle), GNTST_okay);
  EXPECT_EQ(revoke(ref), Status::kOk);
  free_page();
}

TEST_P(GrantTest, GRANT_001_ReadOnlyMeansThatThePeerMayNotWrite) {
  const GrantRef ref = grant(Access::kReadOnly);
  EXPECT_NE(map(ref, false).status, GNTST_okay);
  const auto reading = map(ref, true);
  EXPECT_EQ(reading.status, GNTST_okay);
  EXPECT_EQ(dom0().unmap(reading.handle), GNTST_okay);
  EXPECT_EQ(revoke(ref), Status::kOk);
  free_page();
}

TEST_P(GrantTest, GRANT_002_AMappedGrantIsBusyUntilThePeerLetsGo) {
  const GrantRef ref = grant();
  const auto mapped = map(ref);
  ASSERT_EQ(mapped.status, GNTST_okay);
  EXPECT_EQ(revoke(ref), Status::kBusy);
  EXPECT_EQ(dom0().unmap(mapped.handle), GNTST_okay);
  EXPECT_EQ(revoke(ref), Status::kOk);
  EXPECT_NE(map(ref).status, GNTST_okay) << "a revoked grant gives no access";
  EXPECT_EQ(revoke(ref), Status::kInvalidArgument) << "nor is it revoked twice";
  free_page();
}

TEST_P(GrantTest, GRANT_002_AParkedPageIsKeptWhileMappedAndFreedAfterwards) {
  const GrantRef ref = grant();
  const auto mapped = map(ref);
  ASSERT_EQ(mapped.status, GNTST_okay);
  guest_.run([&] {
    EXPECT_EQ(cache_->revoke(ref), Status::kBusy);
    cache_->park(ref, page_);
    cache_.reset();
  });
  EXPECT_EQ(guest_.bus().grants().parked(), 1u);
  EXPECT_EQ(dom0().unmap(mapped.handle), GNTST_okay);
  EXPECT_EQ(guest_.shut_down(), std::vector<std::string>{}) << "the bus frees it at its end";
}

TEST_P(GrantTest, GRANT_002_AGrantNeverLetGoOfIsNeverReused) {
  const GrantRef ref = grant();
  const auto mapped = map(ref);
  ASSERT_EQ(mapped.status, GNTST_okay);
  guest_.run([&] {
    cache_->park(ref, page_);
    cache_.reset();
  });
  EXPECT_NE(guest_.shut_down(), std::vector<std::string>{});
  page_.address[0] = std::byte{1};  // still the guest's own
  EXPECT_EQ(dom0().unmap(mapped.handle), GNTST_okay);
}

TEST_P(GrantTest, GRANT_003_ATableThatCannotGrowSaysSo) {
  guest_.run([&] {
    auto cache = *guest_.services().grants.create_cache("all", 0, 1000000);
    std::vector<GrantRef> refs;
    Status status = Status::kOk;
    while (ok(status)) {
      const auto ref = cache->permit(0, 1, Access::kReadOnly);
      status = ref.status();
      if (ref) refs.push_back(*ref);
    }
    EXPECT_EQ(status, Status::kNoResources);
    EXPECT_GT(refs.size(), 64u * (GetParam() == 1 ? 512 : 256) - 64);
    for (const GrantRef ref : refs) EXPECT_EQ(cache->revoke(ref), Status::kOk);
  });
}

TEST_P(GrantTest, GRANT_004_AFrameAbove32BitsIsRefusedOrNamedInFull) {
  guest_.run([&] {
    auto cache = *guest_.services().grants.create_cache("high", 0, 4);
    const uint64_t frame = (uint64_t{1} << 32) | 5;
    const auto ref = cache->permit(0, frame, Access::kReadOnly);
    EXPECT_EQ(ref.status(), GetParam() == 1 ? Status::kNotSupported : Status::kOk);
    if (!ref) return;
    EXPECT_EQ(guest_.domain().grants().entry_v2(*ref).full_page.frame, frame);
    EXPECT_EQ(dom0().map(guest_.domid(), *ref, true).status, GNTST_bad_page) << "there is none";
    EXPECT_EQ(cache->revoke(*ref), Status::kOk);
  });
}

TEST_P(GrantTest, GRANT_005_WhateverThePeersPaceNoPageIsTakenBackUnderIt) {
  const GrantRef ref = grant();
  const auto first = map(ref);
  EXPECT_EQ(revoke(ref), Status::kBusy);
  const auto second = map(ref, true);
  EXPECT_EQ(second.status, GNTST_okay) << "it has the page already";
  EXPECT_EQ(dom0().unmap(first.handle), GNTST_okay);
  EXPECT_EQ(revoke(ref), Status::kBusy) << "the second map goes on";
  EXPECT_EQ(dom0().unmap(second.handle), GNTST_okay);
  // Version 1 keeps the entry until it is ended whole, version 2 lets nobody begin any more.
  const auto third = map(ref);
  EXPECT_EQ(third.status, GetParam() == 1 ? GNTST_okay : GNTST_general_error);
  if (GetParam() == 1) {
    EXPECT_EQ(dom0().unmap(third.handle), GNTST_okay);
  }
  EXPECT_EQ(revoke(ref), Status::kOk);
  free_page();
}

TEST_P(GrantTest, GRANT_006_AQueryTellsTheFrameAndTheAccess) {
  const GrantRef ref = grant(Access::kReadOnly);
  const auto known = guest_.bus().grants().query(ref);
  ASSERT_TRUE(known.ok());
  EXPECT_EQ(known->frame, page_.frame);
  EXPECT_EQ(known->access, Access::kReadOnly);
  EXPECT_EQ(revoke(ref), Status::kOk);
  EXPECT_EQ(guest_.bus().grants().query(ref).status(), Status::kNotFound);
  free_page();
}

TEST_P(GrantTest, GRANT_008_FlagsSetByAHostileTableAreNotBelieved) {
  const GrantRef ref = grant();
  sim::GrantTable& table = guest_.domain().grants();
  uint16_t& flags = GetParam() == 1 ? table.entry(ref).flags : table.entry_v2(ref).hdr.flags;
  flags = 0xffe0 | GTF_accept_transfer;
  EXPECT_EQ(guest_.bus().grants().query(ref).status(), Status::kNotFound);
  EXPECT_EQ(revoke(ref), Status::kOk);
  EXPECT_EQ(revoke(ref), Status::kInvalidArgument);
  flags = 0;
  free_page();
}

TEST_P(GrantTest, ASecondDriverStartsWhereTheFirstLeft) {
  const GrantRef ref = grant();
  EXPECT_EQ(revoke(ref), Status::kOk);
  free_page();
  guest_.run([this] { cache_.reset(); });
  EXPECT_EQ(guest_.shut_down(), std::vector<std::string>{});
  guest_.run([&] {
    auto bus = xenbus::Bus::create(guest_.platform(), guest_.guest().hypercall());
    ASSERT_TRUE(bus.ok()) << to_string(bus.status());
    EXPECT_TRUE((*bus)->store().read(xenbus::kNoTransaction, "name").ok());
    auto cache = *(*bus)->grants().create_cache("second", 0, 4);
    const GrantRef again = *cache->permit(0, 1, Access::kReadOnly);
    EXPECT_EQ(cache->revoke(again), Status::kOk);
  });
}

TEST(GrantVersionTest, GRANT_004_ATableThatStaysInUseIsUsedAsItIsAlsoWhereXenDoesNotSay) {
  for (const char* release : {"4.1", "4.17"}) {
    Host host({.machine = sim::on_xen(*sim::find_xen_profile(release))});
    sim::Domain& domain = host.toolstack().create_domain();
    sim::Guest guest(host.machine(), domain);
    const auto start = [&](uint32_t wanted) {
      guest.set_setting("GrantTableVersion", wanted);
      return *xenbus::Bus::create(guest.platform(), guest.hypercall());
    };
    ASSERT_TRUE(guest.run(
        0,
        [&] {
          auto former = start(2);
          EXPECT_EQ(former->grants().version(), 2u);
          auto cache = *former->grants().create_cache("forgotten", 1, 4);
          const auto page = *guest.platform().allocate_page();
          const auto ref = *cache->permit(0, page.frame, xenbus::Access::kReadWrite);
          const auto map = host.machine().dom0().grants().map(domain.id(), ref, false);
          EXPECT_EQ(map.status, GNTST_okay);
          cache = {};
          former = {};
          // The driver of another time, that would rather have the other version.
          auto next = start(1);
          EXPECT_EQ(next->grants().version(), 2u) << release;
          host.machine().dom0().grants().unmap(map.handle);
          next = {};
          guest.platform().release_page(page);
        },
        Host::kPatience));
  }
}

}  // namespace
}  // namespace ringside::conformance
