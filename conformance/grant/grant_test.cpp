#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/host.hpp"

namespace ringside::conformance {
namespace {

using xenbus::Access;
using xenbus::GrantRef;

/// The grant table against the simulated Xen, dom0 being the peer.
class GrantTest : public testing::Test {
 protected:
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
  DriverGuest guest_{host_};
  Owned<xenbus::GrantCache> cache_;
  platform::Page page_;
};

TEST_F(GrantTest, GRANT_001_ReservedReferencesAreNeverHandedOut) {
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

TEST_F(GrantTest, GRANT_001_ThePeerSeesTheVeryPage) {
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

TEST_F(GrantTest, GRANT_001_ReadOnlyMeansThatThePeerMayNotWrite) {
  const GrantRef ref = grant(Access::kReadOnly);
  EXPECT_NE(map(ref, false).status, GNTST_okay);
  const auto reading = map(ref, true);
  EXPECT_EQ(reading.status, GNTST_okay);
  EXPECT_EQ(dom0().unmap(reading.handle), GNTST_okay);
  EXPECT_EQ(revoke(ref), Status::kOk);
  free_page();
}

TEST_F(GrantTest, GRANT_002_AMappedGrantIsBusyUntilThePeerLetsGo) {
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

TEST_F(GrantTest, GRANT_002_AParkedPageIsKeptWhileMappedAndFreedAfterwards) {
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

TEST_F(GrantTest, GRANT_002_AGrantNeverLetGoOfIsNeverReused) {
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

TEST_F(GrantTest, GRANT_003_ATableThatCannotGrowSaysSo) {
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
    EXPECT_GT(refs.size(), 64u * 512 - 64);
    for (const GrantRef ref : refs) EXPECT_EQ(cache->revoke(ref), Status::kOk);
  });
}

TEST_F(GrantTest, GRANT_004_AFrameThatVersion1CannotNameIsRefused) {
  guest_.run([&] {
    auto cache = *guest_.services().grants.create_cache("high", 0, 4);
    const uint64_t frame = (uint64_t{1} << 32) | 5;
    EXPECT_EQ(cache->permit(0, frame, Access::kReadOnly).status(), Status::kNotSupported);
  });
}

TEST_F(GrantTest, ASecondDriverStartsWhereTheFirstLeft) {
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

}  // namespace
}  // namespace ringside::conformance
