#include "protocols/ring/back_ring.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "conformance/ring/ring_area.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/ring/front_ring.hpp"

namespace ringside::conformance {
namespace {

using ring::kReqEvent;
using ring::kReqProd;
using ring::kRspEvent;
using ring::kRspProd;
using RxFront = ring::FrontRing<netif_rx_request, netif_rx_response>;
using RxBack = ring::BackRing<netif_rx_request, netif_rx_response>;

netif_rx_request buffer(uint16_t id) {
  netif_rx_request request{};
  request.id = id;
  request.gref = 0x100U + id;
  return request;
}

netif_rx_response filled(uint16_t id) {
  netif_rx_response response{};
  response.id = id;
  response.status = 60;
  return response;
}

class BackRingTest : public testing::Test {
 protected:
  /// A back end whose front end published `requests`.
  RxBack ring_with_pending(unsigned requests, uint32_t start = 0) {
    front_ = *RxFront::create(area_.bytes(), start);
    RxBack back = *RxBack::create(area_.bytes());
    for (unsigned i = 0; i < requests; ++i) front_.put(buffer(static_cast<uint16_t>(i)));
    (void)front_.publish();
    return back;
  }

  RingArea area_;
  RxFront front_;
};

TEST_F(BackRingTest, RING_001_SizeIsThatOfTheFrontEnd) {
  for (const size_t pages : {1, 2, 4, 16}) {
    RingArea area(pages);
    const auto front = *RxFront::create(area.bytes());
    EXPECT_EQ(RxBack::create(area.bytes())->size(), front.size()) << pages;
  }
  RingArea three(3);
  EXPECT_EQ(RxBack::create(three.bytes()).status(), Status::kInvalidArgument);
}

// RING-003: both ends through the wrap, the ring full all the time.
TEST_F(BackRingTest, RING_003_BothEndsRunThroughTheWrap) {
  RxBack back = ring_with_pending(256, 0xfffffe00U);
  for (uint32_t i = 0; i < 4 * back.size(); ++i) {
    const auto request = back.take();
    ASSERT_TRUE(request && request->has_value()) << i;
    ASSERT_EQ((*request)->id, i % 256);
    back.put(filled((*request)->id));
    (void)back.publish();

    const auto response = front_.take();
    ASSERT_TRUE(response && response->has_value()) << i;
    ASSERT_EQ((*response)->id, i % 256);
    front_.put(buffer((*response)->id));
    (void)front_.publish();
  }
}

TEST_F(BackRingTest, RING_004_ResponsesShowOnlyWhenPublished) {
  RxBack back = ring_with_pending(2);
  ASSERT_TRUE(back.take());
  back.put(filled(0));
  EXPECT_EQ(area_.get(kRspProd), 0U);

  EXPECT_TRUE(back.publish());
  EXPECT_EQ(area_.get(kRspProd), 1U);
}

TEST_F(BackRingTest, RING_006_NotifiesWhenTheEventIndexIsAmongTheNewOnes) {
  for (const uint32_t start : {0U, 0xfffffffdU}) {
    for (uint32_t event = 0; event < 8; ++event) {
      RxBack back = ring_with_pending(8, start);
      for (uint16_t i = 0; i < 5; ++i) {
        ASSERT_TRUE(back.take());
        if (i == 2) (void)back.publish();
        back.put(filled(i));
      }
      area_.set(kRspEvent, start + event);
      // Was at 2, is at 5.
      EXPECT_EQ(back.publish(), event >= 3 && event <= 5) << start << " " << event;
    }
  }
}

TEST_F(BackRingTest, RING_007_ArmRefusesWhileRequestsWait) {
  RxBack back = ring_with_pending(1);
  EXPECT_FALSE(back.arm());
  ASSERT_TRUE(back.take());

  EXPECT_TRUE(back.arm());
  EXPECT_EQ(area_.get(kReqEvent), 2U);
}

// RING-008: more requests than slots, or a producer that went back.
TEST_F(BackRingTest, RING_008_RequestOverflowClosesTheRing) {
  const struct {
    uint32_t start, claimed;
  } cases[] = {{0, 257}, {0, 0xffffffff}, {0, 0x80000000}, {0xffffff80, 0x81}};
  for (const auto& [start, claimed] : cases) {
    RxBack back = ring_with_pending(0, start);
    area_.set(kReqProd, claimed);

    EXPECT_EQ(back.take().status(), Status::kPeerViolation) << start << " " << claimed;
    EXPECT_TRUE(back.closed());
    EXPECT_EQ(back.take().status(), Status::kClosed);
  }
}

TEST_F(BackRingTest, RING_008_RefusesToTakeUpImpossibleIndices) {
  ASSERT_TRUE(RxFront::create(area_.bytes()));
  area_.set(kReqProd, 300);
  EXPECT_EQ(RxBack::create(area_.bytes()).status(), Status::kPeerViolation);
}

TEST_F(BackRingTest, RING_009_RequestsAreReadOnce) {
  ring_with_pending(2);
  Accesses accesses{.base = area_.bytes().data(), .loads = {}, .stores = {}};
  using Ring = ring::BackRing<netif_rx_request, netif_rx_response, HostileMemory>;
  auto back = *Ring::create(area_.bytes(), HostileMemory(accesses));
  accesses.loads.clear();

  EXPECT_EQ((*back.take())->gref, 0x100U);
  EXPECT_EQ((*back.take())->gref, 0x101U);

  EXPECT_EQ(accesses.loads.size(), 1 + 2 * sizeof(netif_rx_request) / 4);
  for (const auto& [offset, count] : accesses.loads) EXPECT_EQ(count, 1U) << offset;
}

TEST_F(BackRingTest, RING_010_WritesOnlyItsOwnIndices) {
  ring_with_pending(1);
  Accesses accesses{.base = area_.bytes().data(), .loads = {}, .stores = {}};
  using Ring = ring::BackRing<netif_rx_request, netif_rx_response, HostileMemory>;
  auto back = *Ring::create(area_.bytes(), HostileMemory(accesses));
  ASSERT_TRUE(back.take());
  back.put(filled(0));
  (void)back.publish();
  ASSERT_TRUE(back.arm());

  std::vector<size_t> written;
  for (const auto& [offset, count] : accesses.stores) {
    if (offset < ring::kHeaderSize) written.push_back(offset);
  }
  EXPECT_EQ(written, (std::vector<size_t>{kReqEvent, kRspProd}));
}

// RING-013: a slot whose request is unanswered holds no other one, whatever the peer says.
TEST_F(BackRingTest, RING_013_UnconsumedIsBoundByTheUnanswered) {
  RxBack back = ring_with_pending(10);
  EXPECT_EQ(back.unconsumed(), 10U);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(back.take());
  EXPECT_EQ(back.unconsumed(), 6U);

  area_.set(kReqProd, 100'000);
  EXPECT_EQ(back.unconsumed(), back.size() - 4);
}

TEST_F(BackRingTest, RING_013_NoSlotIsTakenTwiceBeforeItIsAnswered) {
  RxBack back = ring_with_pending(256);
  for (int i = 0; i < 256; ++i) ASSERT_TRUE(*back.take());
  area_.set(kReqProd, 257);

  EXPECT_EQ(back.unconsumed(), 0U);
  EXPECT_EQ(back.take().status(), Status::kPeerViolation);
}

}  // namespace
}  // namespace ringside::conformance
