#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "conformance/rig/migration.hpp"
#include "protocols/xenbus/suspend_agent.hpp"
#include "sim/machine/profiles.hpp"

namespace ringside::conformance {
namespace {

using xenbus::Access;
using xenbus::GrantRef;

/// Bitmaps, the callback line, version 1 tables, and small ones at that; another clock.
sim::MachineConfig ancient() {
  sim::MachineConfig config = sim::on_xen(*sim::find_xen_profile("3.4"));
  config.max_grant_frames = 4;
  config.clock = {.tsc_khz = 1'000'000, .tsc_at_start = 5, .started = 1'600'000'000};
  return config;
}

/// A guest with XENBUS that travels between two hosts of different age.
class MigrationTest : public testing::Test {
 protected:
  MigrationTest() {
    guest_.run([this] { agent_ = *xenbus::SuspendAgent::create(guest_.services()); });
  }
  ~MigrationTest() override {
    guest_.run([this] { agent_ = {}; });
  }

  void travel(Host& to) {
    suspend(guest_);
    migrate(guest_, to, {}, [](uint16_t) {});
  }
  /// Store, events, grants and time of where the guest is.
  void all_works() {
    sim::Domain& domain = guest_.domain();
    Owned<xenbus::EventChannel> channel;
    Owned<xenbus::GrantCache> cache;
    platform::Page page;
    GrantRef ref = 0;
    fires_ = 0;
    guest_.run([&] {
      EXPECT_EQ(guest_.bus().store().write({}, "data/where", "here"), Status::kOk);
      channel = *guest_.bus().events().open_unbound(0, Delegate::to<&MigrationTest::fired>(*this),
                                                    guest_.bus().events().cpus() - 1);
      cache = *guest_.bus().grants().create_cache("probe", 1, 4);
      page = *guest_.platform().allocate_page();
      ref = *cache->permit(0, page.frame, Access::kReadWrite);
      const auto clock = guest_.bus().shared_info().time();
      ASSERT_TRUE(clock);
      const uint64_t expected = guest_.host().machine().config().clock.started * platform::kSecond +
                                guest_.host().world().now();
      EXPECT_LE(clock->nanoseconds, expected + 2'000);
      EXPECT_GE(clock->nanoseconds + 2'000, expected);
    });
    EXPECT_EQ(guest_.host().toolstack().read("/local/domain/" + std::to_string(domain.id()) +
                                             "/data/where"),
              "here");
    sim::Domain& dom0 = guest_.host().machine().dom0();
    const int64_t port = dom0.events().bind_interdomain(domain.id(), channel->port());
    ASSERT_GT(port, 0);
    dom0.events().send(static_cast<sim::Port>(port));
    guest_.host().require("the event", [this] { return fires_ == 1; });
    dom0.events().close(static_cast<sim::Port>(port));
    const sim::GrantMap map = dom0.grants().map(domain.id(), ref, false);
    EXPECT_EQ(map.status, GNTST_okay);
    dom0.grants().unmap(map.handle);
    guest_.run([&] {
      EXPECT_EQ(cache->revoke(ref), Status::kOk);
      guest_.platform().release_page(page);
      cache = {};
      channel = {};
    });
  }

 public:
  void fired() { ++fires_; }

 protected:
  Host home_{HostConfig{.machine = sim::on_xen(*sim::find_xen_profile("4.17"))}};
  Host abroad_{home_, ancient()};
  DriverGuest guest_{home_, {.vcpus = 2}};
  platform::Box<xenbus::SuspendAgent> agent_;
  int fires_ = 0;
};

TEST_F(MigrationTest, CONTROL_005_EachHostIsUsedAsItsXenAllows) {
  EXPECT_TRUE(guest_.bus().events().uses_fifo());
  all_works();
  for (int round = 0; round < 3; ++round) {
    travel(abroad_);
    EXPECT_FALSE(guest_.bus().events().uses_fifo());
    EXPECT_EQ(guest_.bus().events().cpus(), 1u) << "the callback line leads to one CPU";
    all_works();
    travel(home_);
    EXPECT_TRUE(guest_.bus().events().uses_fifo());
    EXPECT_EQ(guest_.bus().events().cpus(), 2u);
    all_works();
  }
}

TEST_F(MigrationTest, CONTROL_005_NothingStaysBehindOnAnyHost) {
  const auto idle = abroad_.machine().audit();  // its xenstored's interrupt
  travel(abroad_);
  EXPECT_EQ(home_.machine().audit(), idle);
  EXPECT_FALSE(home_.toolstack().read("/local/domain/1").has_value());
  travel(home_);
  EXPECT_EQ(abroad_.machine().audit(), idle);
}

TEST_F(MigrationTest, CONTROL_005_ASavedGuestIsNowhereAndGoesOnLater) {
  const uint16_t before = guest_.domid();
  platform::Page page;
  guest_.run([&] {
    page = *guest_.platform().allocate_page();
    page.address[7] = std::byte{42};
  });
  const uint32_t used = home_.machine().frames().used();
  suspend(guest_);
  auto image = std::make_optional(save(guest_, {}));
  EXPECT_EQ(home_.machine().find(before), nullptr);
  EXPECT_FALSE(home_.toolstack().read("/local/domain/" + std::to_string(before)).has_value());
  EXPECT_LE(home_.machine().frames().used(), used) << "Xen's own frames go, the guest's stay";
  EXPECT_THROW((void)home_.toolstack().save(before), std::runtime_error);
  // Others come and go on the host meanwhile, and time passes.
  const uint16_t other = home_.toolstack().create_domain({.name = "other"}).id();
  const uint32_t count = guest_.bus().suspend().count();
  home_.pass(60 * platform::kSecond);
  home_.toolstack().destroy_domain(other);
  EXPECT_EQ(guest_.bus().suspend().count(), count);

  restore(guest_, std::move(*image), abroad_, [](uint16_t) {});
  image.reset();
  EXPECT_EQ(page.address[7], std::byte{42});
  all_works();
  guest_.run([&] { guest_.platform().release_page(page); });
}

TEST_F(MigrationTest, CONTROL_005_OnlyASuspendedGuestCanBeSaved) {
  EXPECT_THROW((void)home_.toolstack().save(guest_.domid()), std::runtime_error);
  all_works();
}

TEST_F(MigrationTest, GRANT_009_ReferencesBeyondASmallerTableAreOutOfUse) {
  constexpr uint32_t kMany = 512 * 6;  // more than the four frames of the other host
  std::vector<GrantRef> refs(kMany);
  Owned<xenbus::GrantCache> cache;
  platform::Page page;
  const auto permit_all = [&] {
    uint32_t count = 0;
    for (GrantRef& ref : refs) {
      const auto granted = cache->permit(0, page.frame, Access::kReadOnly);
      if (!granted) break;
      ref = *granted;
      ++count;
    }
    return count;
  };
  guest_.run([&] {
    cache = *guest_.bus().grants().create_cache("many", 0, kMany);
    page = *guest_.platform().allocate_page();
    EXPECT_EQ(permit_all(), kMany);
  });
  travel(abroad_);
  uint32_t granted = 0;
  guest_.run([&] {
    for (const GrantRef ref : refs) {
      EXPECT_EQ(guest_.bus().grants().query(ref).status(), Status::kNotFound);
      EXPECT_EQ(cache->revoke(ref), Status::kOk) << "nobody has it any more";
    }
    granted = permit_all();
    EXPECT_EQ(cache->permit(0, page.frame, Access::kReadOnly).status(), Status::kNoResources);
  });
  EXPECT_GT(granted, 512u * 3);
  EXPECT_LE(granted, 512u * 4);
  for (uint32_t i = 0; i < granted; ++i) EXPECT_LT(refs[i], 512u * 4);
  travel(home_);
  guest_.run([&] {
    for (uint32_t i = 0; i < granted; ++i) EXPECT_EQ(cache->revoke(refs[i]), Status::kOk);
    EXPECT_GE(permit_all(), granted);
    for (uint32_t i = 0; i < granted; ++i) EXPECT_EQ(cache->revoke(refs[i]), Status::kOk);
    cache = {};
    guest_.platform().release_page(page);
  });
}

}  // namespace
}  // namespace ringside::conformance
