#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "protocols/platform/xen.hpp"
#include "protocols/ring/back_ring.hpp"
#include "protocols/ring/front_ring.hpp"

namespace ringside::ring {
namespace {

using Front = FrontRing<blkif_request, blkif_response>;
using Back = BackRing<blkif_request, blkif_response>;

struct alignas(kRingPageSize) Area {
  std::array<std::byte, kRingPageSize> bytes;
};

class Notes final : public Tap {
 public:
  void produced(Side side, uint32_t index, std::span<const std::byte> slot) override {
    note('+', side, index, slot.size());
  }
  void consumed(Side side, uint32_t index, std::span<const std::byte> slot) override {
    note('-', side, index, slot.size());
  }
  std::vector<std::string> lines;

 private:
  void note(char what, Side side, uint32_t index, size_t size) {
    lines.push_back(what + std::string(side == Side::kFront ? "front " : "back ") +
                    std::to_string(index) + " " + std::to_string(size));
  }
};

TEST(RingTest, DefaultRingIsClosedAndEmpty) {
  Front front;
  Back back;
  EXPECT_TRUE(front.closed());
  EXPECT_EQ(front.free_slots(), 0U);
  EXPECT_FALSE(front.publish());
  front.reset();
  EXPECT_TRUE(front.closed());
  EXPECT_TRUE(back.closed());
  EXPECT_EQ(back.take().status(), Status::kClosed);
}

TEST(RingTest, TapSeesBothEndsAtPublishAndAtTake) {
  Area area;
  Notes notes;
  auto front = *Front::create(area.bytes);
  auto back = *Back::create(area.bytes);
  front.attach(&notes);
  back.attach(&notes);

  front.put(blkif_request{});
  front.put(blkif_request{});
  EXPECT_TRUE(notes.lines.empty());
  (void)front.publish();
  ASSERT_TRUE(*back.take());
  back.put(blkif_response{});
  (void)back.publish();
  ASSERT_TRUE(*front.take());

  const auto request = std::to_string(sizeof(blkif_request));
  const auto response = std::to_string(sizeof(blkif_response));
  EXPECT_EQ(notes.lines, (std::vector<std::string>{"+front 0 " + request, "+front 1 " + request,
                                                   "-back 0 " + request, "+back 0 " + response,
                                                   "-front 0 " + response}));
}

TEST(RingTest, SlotCarriesAnotherStructureOfTheSameProtocol) {
  Area area;
  auto front = *Front::create(area.bytes);
  auto back = *Back::create(area.bytes);
  blkif_request_indirect sent{};
  sent.operation = BLKIF_OP_INDIRECT;
  sent.nr_segments = 200;
  sent.indirect_grefs[0] = 77;
  front.put(sent);
  (void)front.publish();

  const auto request = *back.take();
  ASSERT_TRUE(request);
  const auto received = slot_as<blkif_request_indirect>(*request);
  EXPECT_EQ(request->operation, BLKIF_OP_INDIRECT);
  EXPECT_EQ(received.nr_segments, 200);
  EXPECT_EQ(received.indirect_grefs[0], 77U);
}

TEST(RingTest, SlotReadAsALongerStructureEndsInZeroes) {
  netif_tx_response response{};
  response.id = 5;
  const auto longer = slot_as<netif_tx_request>(response);
  EXPECT_EQ(longer.size, 0);
}

}  // namespace
}  // namespace ringside::ring
