#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/host.hpp"
#include "protocols/xenbus/acquired_services.hpp"
#include "protocols/xenbus/interfaces/cache.hpp"
#include "protocols/xenbus/interfaces/range_set.hpp"
#include "protocols/xenvbd/vbd.hpp"
#include "protocols/xenvif/vif.hpp"

namespace ringside::conformance {
namespace {

using xenbus::AcquiredServices;
using xenbus::BusDirectory;
using xenbus::Consumer;

/// Drivers that find XENBUS at run time.
class DirectoryTest : public testing::Test {
 protected:
  BusDirectory& directory() { return guest_.bus().directory(); }
  Status try_acquire(const Consumer& consumer) {
    Status status = Status::kOk;
    guest_.run([&] {
      status = AcquiredServices::acquire(guest_.platform(), directory(), consumer).status();
    });
    return status;
  }
  std::vector<uint32_t> references() {
    std::vector<uint32_t> counts;
    guest_.run([&] {
      for (const BusDirectory::Offer& offer : BusDirectory::offers()) {
        counts.push_back(directory().references(offer.identity.id));
      }
    });
    return counts;
  }
  static constexpr Consumer kDriver{
      .name = "DRIVER", .gnttab = {1, 9}, .evtchn = {1, 9}, .store = {1, 9}, .suspend = {1, 9}};
  static void ignore(void*) {}
  static bool tells(const std::vector<std::string>& lines, const std::string& what) {
    return std::ranges::any_of(lines,
                               [&](const auto& line) { return line.find(what) != line.npos; });
  }

  Host host_;
  DriverGuest guest_{host_};
};

TEST_F(DirectoryTest, EveryOfferedVersionIsToBeHadAndNoOther) {
  guest_.run([&] {
    for (const BusDirectory::Offer& offer : BusDirectory::offers()) {
      for (uint16_t version = 0; version < 16; ++version) {
        const auto lease = directory().acquire(offer.identity.id, version, "test");
        const bool offered = offer.versions.contains(version);
        EXPECT_EQ(lease.status(), offered ? Status::kOk : Status::kNotSupported)
            << offer.identity.name << " " << version;
        if (lease) {
          EXPECT_EQ((*lease)->version(), version);
          EXPECT_NE((*lease)->interface(), nullptr);
        }
      }
    }
    EXPECT_EQ(directory().acquire({}, 1, "test").status(), Status::kNotFound);
  });
}

TEST_F(DirectoryTest, OurDriversFindWhatTheyNeed) {
  EXPECT_EQ(try_acquire(xenvif::Vif::kConsumer), Status::kOk);
  EXPECT_EQ(try_acquire(xenvbd::Vbd::kConsumer), Status::kOk);
}

TEST_F(DirectoryTest, ADriverOfAnotherTimeIsRefusedAndHoldsNothing) {
  const std::vector<uint32_t> none(BusDirectory::offers().size(), 0);
  for (auto member : {&Consumer::gnttab, &Consumer::evtchn, &Consumer::store, &Consumer::suspend}) {
    Consumer driver = kDriver;
    driver.*member = {.lowest = 10, .highest = 12};
    EXPECT_EQ(try_acquire(driver), Status::kNotSupported);
    EXPECT_EQ(references(), none);
  }
}

TEST_F(DirectoryTest, EachReferenceCountsUntilItIsReleased) {
  const auto& id = xenbus::Store::kIdentity.id;
  guest_.run([&] {
    auto one = xenbus::acquire<xenbus::Store>(directory(), {1, 2}, "one");
    auto two = xenbus::acquire<xenbus::Store>(directory(), {1, 2}, "two");
    EXPECT_EQ(directory().references(id), 2u);
    *one = {};
    EXPECT_EQ(directory().references(id), 1u);
    EXPECT_TRUE((*two)->read(xenbus::kNoTransaction, "name")) << "the other is as good as ever";
    *two = {};
    EXPECT_EQ(directory().references(id), 0u);
  });
}

TEST_F(DirectoryTest, WhatADriverEndsInTimeIsNotReported) {
  guest_.run([&] {
    auto held = AcquiredServices::acquire(guest_.platform(), directory(), kDriver);
    const xenbus::Services services = held->services();
    const auto cache = services.grants.create_cache("kept", 1, 4);
    const auto channel = services.events.open_unbound(0, {&ignore, nullptr}, 0);
    const auto watch = services.store.watch("control", {&ignore, nullptr});
    const auto transaction = services.store.begin();
    services.store.abort(*transaction);
  });
  for (const std::string& line : guest_.guest().log()) {
    EXPECT_EQ(line.find("left behind"), std::string::npos) << line;
  }
}

/// Whoever forgets an object is told which, by name, and takes nobody else down.
TEST_F(DirectoryTest, WhatIsOutstandingAtTheReleaseIsReportedByName) {
  guest_.run([&] {
    Owned<xenbus::GrantCache> cache;
    Owned<xenbus::EventChannel> channel;
    Owned<xenbus::Watch> watch;
    Owned<xenbus::SuspendCallback> early;
    Owned<xenbus::Cache> objects;
    Owned<xenbus::Ranges> ranges;
    xenbus::Transaction transaction;
    uint64_t port = 0;
    {
      auto held = AcquiredServices::acquire(guest_.platform(), directory(), kDriver);
      auto caches = xenbus::acquire<xenbus::Caches>(directory(), {1, 2}, "DRIVER");
      auto sets = xenbus::acquire<xenbus::RangeSets>(directory(), {1, 1}, "DRIVER");
      const xenbus::Services services = held->services();
      cache = *services.grants.create_cache("forgotten", 1, 4);
      channel = *services.events.open_unbound(0, {&ignore, nullptr}, 0);
      watch = *services.store.watch("control", {&ignore, nullptr});
      early = *services.suspend->add(xenbus::SuspendPhase::kEarly, {&ignore, nullptr});
      transaction = *services.store.begin();
      objects = *(*caches)->create({.name = "packets", .object_bytes = 64, .reserve = 1, .cap = 4});
      ranges = *(*sets)->create("holes");
      EXPECT_EQ((*caches).outstanding(), 1u);
      port = channel->port();
    }
    const std::vector<std::string> log = guest_.guest().log();
    EXPECT_TRUE(tells(log, "GNTTAB: DRIVER left behind the grant cache forgotten"));
    EXPECT_TRUE(tells(log, "EVTCHN: DRIVER left behind event channel " + std::to_string(port)));
    EXPECT_TRUE(tells(log, "STORE: DRIVER left behind a watch on control"));
    EXPECT_TRUE(tells(log, "STORE: DRIVER left behind open transactions: 1"));
    EXPECT_TRUE(tells(log, "SUSPEND: DRIVER left behind an EARLY callback"));
    EXPECT_TRUE(tells(log, "CACHE: DRIVER left behind the cache packets"));
    EXPECT_TRUE(tells(log, "RANGE_SET: DRIVER left behind the range set holes"));

    // They are ended late here, which must still be sound.
    guest_.services().store.abort(transaction);
  });
}

TEST_F(DirectoryTest, WhoHoldsAnInterfaceWhenTheBusGoesIsNamed) {
  std::optional<AcquiredServices> held;
  guest_.run([&] { held = *AcquiredServices::acquire(guest_.platform(), directory(), kDriver); });
  EXPECT_TRUE(tells(guest_.shut_down(), "4 locks were not destroyed"));
  const std::vector<std::string> log = guest_.guest().log();
  for (const char* name : {"EVTCHN", "GNTTAB", "STORE", "SUSPEND"}) {
    EXPECT_TRUE(tells(log, std::string(name) + " is still held by DRIVER"));
  }
  guest_.run([&] { held.reset(); });
}

/// A driver's interface is of use for more than looking at.
TEST_F(DirectoryTest, RangesAndCachesWorkAcrossTheInterface) {
  guest_.run([&] {
    auto caches = xenbus::acquire<xenbus::Caches>(directory(), {1, 2}, "DRIVER");
    auto sets = xenbus::acquire<xenbus::RangeSets>(directory(), {1, 1}, "DRIVER");
    const auto objects =
        (*caches)->create({.name = "packets", .object_bytes = 64, .reserve = 0, .cap = 1});
    const auto object = (*objects)->get();
    ASSERT_TRUE(object);
    EXPECT_EQ((*objects)->get().status(), Status::kNoResources);
    (*objects)->put(*object);
    EXPECT_TRUE((*objects)->get());
    (*objects)->put(*object);
    const auto ranges = (*sets)->create("holes");
    EXPECT_EQ((*ranges)->put(10, 5), Status::kOk);
    EXPECT_EQ((*ranges)->get(12, 1), Status::kOk);
    EXPECT_EQ(*(*ranges)->pop(2), 10u);
    EXPECT_EQ((*ranges)->pop(3).status(), Status::kNoResources);
  });
}

}  // namespace
}  // namespace ringside::conformance
