#include "protocols/xenbus/bus_directory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace ringside::xenbus {
namespace {

// The first bytes of the text are the first of the identity.
static_assert(guid("763679C5-E5C2-4A6D-8B88-6BB02EC42D8E").bytes ==
              std::array<uint8_t, 16>{0x76, 0x36, 0x79, 0xC5, 0xE5, 0xC2, 0x4A, 0x6D,  //
                                      0x8B, 0x88, 0x6B, 0xB0, 0x2E, 0xC4, 0x2D, 0x8E});

TEST(BusDirectoryOffers, EachHasAnIdentityOfItsOwnAndARangeOfVersions) {
  std::set<std::array<uint8_t, 16>> seen;
  for (const BusDirectory::Offer& offer : BusDirectory::offers()) {
    EXPECT_TRUE(seen.insert(offer.identity.id.bytes).second) << offer.identity.name;
    EXPECT_LE(offer.versions.lowest, offer.versions.highest) << offer.identity.name;
    EXPECT_GE(offer.versions.lowest, 1) << offer.identity.name;
  }
}

struct Thing {
  static constexpr InterfaceIdentity kIdentity{"THING",
                                               guid("00000000-0000-0000-0000-000000000001")};
};

/// Provides Thing at versions 3 to 5 and counts what it is asked.
class OneThing final : public Directory {
 public:
  Result<Owned<Lease>> acquire(const InterfaceId& id, uint16_t version, const char*) override {
    asked.push_back(version);
    if (id != Thing::kIdentity.id) return Status::kNotFound;
    if (!VersionRange{3, 5}.contains(version)) return Status::kNotSupported;
    if (out_of_memory) return Status::kNoMemory;
    lease.of = version;
    return Owned<Lease>(&lease);
  }

  struct OneLease final : Lease {
    void* interface() override { return &thing; }
    uint16_t version() const override { return of; }
    uint32_t outstanding() const override { return 0; }
    void destroy() override { ++released; }
    Thing thing;
    uint16_t of = 0;
    unsigned released = 0;
  };

  OneLease lease;
  bool out_of_memory = false;
  std::vector<uint16_t> asked;
};

TEST(Acquire, TakesTheNewestVersionThatBothKnow) {
  OneThing provider;
  {
    const auto thing = acquire<Thing>(provider, {2, 9}, "test");
    ASSERT_TRUE(thing);
    EXPECT_EQ(thing->version(), 5);
    EXPECT_EQ(thing->get(), &provider.lease.thing);
    EXPECT_EQ(provider.lease.released, 0U);
  }
  EXPECT_EQ(provider.lease.released, 1U);
  EXPECT_EQ(acquire<Thing>(provider, {1, 3}, "test")->version(), 3);
}

TEST(Acquire, OfNoCommonVersionIsNotSupported) {
  OneThing provider;
  EXPECT_EQ(acquire<Thing>(provider, {6, 7}, "test").status(), Status::kNotSupported);
  EXPECT_EQ(acquire<Thing>(provider, {0, 2}, "test").status(), Status::kNotSupported);
}

TEST(Acquire, AsksNoFurtherWhenTheReasonIsAnother) {
  OneThing provider;
  provider.out_of_memory = true;
  EXPECT_EQ(acquire<Thing>(provider, {3, 5}, "test").status(), Status::kNoMemory);
  EXPECT_EQ(provider.asked, std::vector<uint16_t>{5});
}

}  // namespace
}  // namespace ringside::xenbus
