#include "protocols/ring/front_ring.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "conformance/ring/ring_area.hpp"
#include "protocols/platform/xen.hpp"

namespace ringside::conformance {
namespace {

using ring::kReqEvent;
using ring::kReqProd;
using ring::kRspEvent;
using ring::kRspProd;
using TxRing = ring::FrontRing<netif_tx_request, netif_tx_response>;
using RxRing = ring::FrontRing<netif_rx_request, netif_rx_response>;
using BlkRing = ring::FrontRing<blkif_request, blkif_response>;

constexpr size_t kTxSlot = sizeof(netif_tx_request);

netif_tx_request request(uint16_t id) {
  netif_tx_request request{};
  request.gref = 0x1000U + id;
  request.id = id;
  return request;
}

/// The peer answers slot `index` with `id`, without moving its producer.
void answer(RingArea& area, uint32_t index, uint16_t id) {
  area.set_slot(index, kTxSlot, netif_tx_response{id, NETIF_RSP_OKAY});
}

class FrontRingTest : public testing::Test {
 protected:
  TxRing ring_with_outstanding(unsigned requests, uint32_t start = 0) {
    TxRing ring = *TxRing::create(area_.bytes(), start);
    for (unsigned i = 0; i < requests; ++i) ring.put(request(static_cast<uint16_t>(i)));
    (void)ring.publish();
    return ring;
  }

  RingArea area_;
};

// RING-001: the slots are the largest power of two that fits behind the header.
TEST_F(FrontRingTest, RING_001_SizeIsTheLargestPowerOfTwoThatFits) {
  const struct {
    size_t pages;
    uint32_t tx, rx, blk;
  } expected[] = {{1, 256, 256, 32},
                  {2, 512, 512, 64},
                  {4, 1024, 1024, 128},
                  {8, 2048, 2048, 256},
                  {16, 4096, 4096, 512}};
  for (const auto& [pages, tx, rx, blk] : expected) {
    RingArea area(pages);
    EXPECT_EQ(TxRing::create(area.bytes())->size(), tx) << pages;
    EXPECT_EQ(RxRing::create(area.bytes())->size(), rx) << pages;
    EXPECT_EQ(BlkRing::create(area.bytes())->size(), blk) << pages;
  }
}

TEST_F(FrontRingTest, RING_001_RefusesWhatIsNoRingArea) {
  RingArea area(32);
  for (const size_t pages : {0, 3, 5, 12, 17, 32}) {
    const auto bytes = area.bytes().first(pages * ring::kRingPageSize);
    EXPECT_EQ(TxRing::create(bytes).status(), Status::kInvalidArgument) << pages;
  }
  EXPECT_EQ(TxRing::create(area.bytes().first(2048)).status(), Status::kInvalidArgument);
}

// RING-002: an empty ring asks for a notification at the first message, either way.
TEST_F(FrontRingTest, RING_002_EmptyRingHasIndicesZeroAndEventsOne) {
  ASSERT_TRUE(TxRing::create(area_.bytes()));

  EXPECT_EQ(area_.get(kReqProd), 0U);
  EXPECT_EQ(area_.get(kRspProd), 0U);
  EXPECT_EQ(area_.get(kReqEvent), 1U);
  EXPECT_EQ(area_.get(kRspEvent), 1U);
}

TEST_F(FrontRingTest, RING_002_FirstRequestNotifies) {
  auto ring = *TxRing::create(area_.bytes());
  ring.put(request(0));

  EXPECT_TRUE(ring.publish());
}

// RING-003: indices run freely through 2^32; the slot is the index modulo the size.
TEST_F(FrontRingTest, RING_003_IndicesRunThroughTheWrap) {
  auto ring = *TxRing::create(area_.bytes(), 0xffffff80U);
  for (uint32_t i = 0; i < 3 * ring.size(); ++i) {
    const uint32_t slot = (0xffffff80U + i) % ring.size();
    const auto id = static_cast<uint16_t>(i);
    ring.put(request(id));
    ASSERT_TRUE(ring.publish()) << i;
    ASSERT_EQ(area_.get(kReqProd), 0xffffff80U + i + 1);
    ASSERT_EQ(area_.slot<netif_tx_request>(slot, kTxSlot).id, id);

    area_.set(kReqEvent, area_.get(kReqProd) + 1);
    answer(area_, slot, id);
    area_.set(kRspProd, area_.get(kReqProd));
    const auto response = ring.take();
    ASSERT_TRUE(response && response->has_value()) << i;
    ASSERT_EQ((*response)->id, id);
    ASSERT_EQ(ring.free_slots(), ring.size());
  }
}

TEST_F(FrontRingTest, RING_003_LastSlotEndsWithinTheArea) {
  for (const size_t pages : {1, 2, 4, 16}) {
    RingArea area(pages);
    auto ring = *BlkRing::create(area.bytes());
    blkif_request last{};
    last.id = 0x1122334455667788;
    for (uint32_t i = 0; i < ring.size(); ++i) ring.put(last);
    EXPECT_EQ(area.slot<blkif_request>(ring.size() - 1, sizeof last).id, last.id) << pages;
  }
}

// RING-004: nothing is visible before publish(), all of it after.
TEST_F(FrontRingTest, RING_004_RequestsShowOnlyWhenPublished) {
  auto ring = *TxRing::create(area_.bytes());
  ring.put(request(7));
  ring.put(request(8));
  EXPECT_EQ(area_.get(kReqProd), 0U);

  (void)ring.publish();

  EXPECT_EQ(area_.get(kReqProd), 2U);
  EXPECT_EQ(area_.slot<netif_tx_request>(1, kTxSlot).id, 8);
}

TEST_F(FrontRingTest, RING_004_CancelledRequestsNeverShow) {
  auto ring = ring_with_outstanding(1);
  ring.put(request(8));
  ring.cancel();
  ring.put(request(9));
  (void)ring.publish();

  EXPECT_EQ(area_.get(kReqProd), 2U);
  EXPECT_EQ(area_.slot<netif_tx_request>(1, kTxSlot).id, 9);
  EXPECT_EQ(ring.outstanding(), 2U);
}

// RING-005: a slot is free again when its response was taken, not when it was sent.
TEST_F(FrontRingTest, RING_005_FreeSlotsAreThoseWithoutAnOutstandingRequest) {
  auto ring = *TxRing::create(area_.bytes());
  for (uint32_t i = 0; i < ring.size(); ++i) {
    ASSERT_EQ(ring.free_slots(), ring.size() - i);
    ring.put(request(static_cast<uint16_t>(i)));
  }
  EXPECT_EQ(ring.free_slots(), 0U);

  (void)ring.publish();
  answer(area_, 0, 0);
  area_.set(kRspProd, 1);
  EXPECT_EQ(ring.free_slots(), 0U);
  ASSERT_TRUE(ring.take());
  EXPECT_EQ(ring.free_slots(), 1U);
}

// RING-006: notify exactly when the peer's event index is among the new ones.
TEST_F(FrontRingTest, RING_006_NotifiesWhenTheEventIndexIsAmongTheNewOnes) {
  for (const uint32_t start : {0U, 0xfffffffdU}) {
    for (uint32_t event = 0; event < 8; ++event) {
      auto ring = ring_with_outstanding(2, start);
      area_.set(kReqEvent, start + event);
      for (uint16_t i = 0; i < 3; ++i) ring.put(request(i));
      // Was at 2, is at 5: events 3, 4 and 5 were waited for.
      EXPECT_EQ(ring.publish(), event >= 3 && event <= 5) << start << " " << event;
    }
  }
}

TEST_F(FrontRingTest, RING_006_PublishingNothingNotifiesNobody) {
  auto ring = ring_with_outstanding(2);
  area_.set(kReqEvent, 2);
  EXPECT_FALSE(ring.publish());
}

// RING-007: the event index is one past the last taken; what came meanwhile refuses sleep.
TEST_F(FrontRingTest, RING_007_ArmAsksForTheNextResponse) {
  auto ring = ring_with_outstanding(3);
  area_.set(kRspProd, 1);
  ASSERT_TRUE(ring.take());

  EXPECT_TRUE(ring.arm());
  EXPECT_EQ(area_.get(kRspEvent), 2U);
}

TEST_F(FrontRingTest, RING_007_ArmRefusesWhileResponsesWait) {
  auto ring = ring_with_outstanding(3);
  area_.set(kRspProd, 1);
  EXPECT_FALSE(ring.arm());

  area_.set(kRspProd, 2);
  ASSERT_TRUE(ring.take());
  EXPECT_FALSE(ring.arm());  // one is left of the batch that was read
}

// RING-008: more responses than requests, or a producer that went back, is no ring to trust.
TEST_F(FrontRingTest, RING_008_ResponseOverflowClosesTheRing) {
  const struct {
    uint32_t start, outstanding, claimed;
  } cases[] = {{0, 4, 5},
               {0, 4, 257},
               {0, 0, 1},
               {0, 4, 0xffffffff},
               {0, 4, 0x80000000},
               {0xfffffffe, 4, 3},
               {0xfffffffe, 4, 0xfffffffd}};
  for (const auto& [start, outstanding, claimed] : cases) {
    auto ring = ring_with_outstanding(outstanding, start);
    area_.set(kRspProd, claimed);

    EXPECT_EQ(ring.take().status(), Status::kPeerViolation) << start << " " << claimed;
    EXPECT_TRUE(ring.closed());
    EXPECT_EQ(ring.take().status(), Status::kClosed);
    EXPECT_EQ(ring.free_slots(), 0U);
  }
}

TEST_F(FrontRingTest, RING_008_UnpublishedRequestsCannotBeAnswered) {
  auto ring = ring_with_outstanding(1);
  ring.put(request(1));
  area_.set(kRspProd, 2);
  EXPECT_EQ(ring.take().status(), Status::kPeerViolation);
}

TEST_F(FrontRingTest, RING_008_ClosedRingTouchesNoSharedMemory) {
  Accesses accesses{.base = area_.bytes().data(), .loads = {}, .stores = {}};
  using Ring = ring::FrontRing<netif_tx_request, netif_tx_response, HostileMemory>;
  auto ring = *Ring::create(area_.bytes(), 0, HostileMemory(accesses));
  ring.put(request(0));
  area_.set(kRspProd, 9);
  ASSERT_EQ(ring.take().status(), Status::kPeerViolation);
  EXPECT_EQ(accesses.loads, (std::map<size_t, unsigned>{{kRspProd, 1}}));
  accesses.loads.clear();
  accesses.stores.clear();

  EXPECT_FALSE(ring.publish());
  EXPECT_TRUE(ring.arm());
  EXPECT_FALSE(ring.take());

  EXPECT_TRUE(accesses.loads.empty());
  EXPECT_TRUE(accesses.stores.empty());
}

// RING-009: each word of a response, and the producer, is read once a batch; what the peer
// makes of it afterwards does not matter.
TEST_F(FrontRingTest, RING_009_ResponsesAreReadOnce) {
  Accesses accesses{.base = area_.bytes().data(), .loads = {}, .stores = {}};
  using Ring = ring::FrontRing<blkif_request, blkif_response, HostileMemory>;
  auto ring = *Ring::create(area_.bytes(), 0, HostileMemory(accesses));
  for (int i = 0; i < 2; ++i) ring.put(blkif_request{});
  (void)ring.publish();
  accesses.loads.clear();
  for (uint32_t i = 0; i < 2; ++i) {
    blkif_response response{};
    response.id = 0x0123456789abcdef + i;
    area_.set_slot(i, sizeof(blkif_request), response);
  }
  area_.set(kRspProd, 2);

  EXPECT_EQ((*ring.take())->id, 0x0123456789abcdefU);
  EXPECT_EQ((*ring.take())->id, 0x0123456789abcdf0U);

  for (const auto& [offset, count] : accesses.loads) EXPECT_EQ(count, 1U) << offset;
  EXPECT_EQ(accesses.loads.size(), 1 + 2 * sizeof(blkif_response) / 4);
}

// RING-010: once laid, the producer of responses and the request event are the peer's.
TEST_F(FrontRingTest, RING_010_WritesOnlyItsOwnIndices) {
  Accesses accesses{.base = area_.bytes().data(), .loads = {}, .stores = {}};
  using Ring = ring::FrontRing<netif_tx_request, netif_tx_response, HostileMemory>;
  auto ring = *Ring::create(area_.bytes(), 0, HostileMemory(accesses));
  accesses.stores.clear();
  ring.put(request(0));
  (void)ring.publish();
  area_.set(kRspProd, 1);
  ASSERT_TRUE(ring.take());
  ASSERT_TRUE(ring.arm());

  std::vector<size_t> written;
  for (const auto& [offset, count] : accesses.stores) {
    if (offset < ring::kHeaderSize) written.push_back(offset);
  }
  EXPECT_EQ(written, (std::vector<size_t>{kReqProd, kRspEvent}));
}

// RING-011: whatever a former peer left is gone before the pages are granted anew.
TEST_F(FrontRingTest, RING_011_ResetLaysTheRingAnew) {
  auto ring = ring_with_outstanding(5);
  std::memset(area_.bytes().data(), 0x5a, area_.bytes().size());
  ASSERT_EQ(ring.take().status(), Status::kPeerViolation);

  ring.reset();

  EXPECT_FALSE(ring.closed());
  EXPECT_EQ(ring.free_slots(), ring.size());
  EXPECT_EQ(area_.get(kReqProd), 0U);
  EXPECT_EQ(area_.get(kRspProd), 0U);
  EXPECT_EQ(area_.get(kReqEvent), 1U);
  EXPECT_EQ(area_.get(kRspEvent), 1U);
  for (uint32_t i = 0; i < ring.size(); ++i) {
    ASSERT_EQ(area_.slot<netif_tx_request>(i, kTxSlot).gref, 0U) << i;
  }
  const auto response = ring.take();
  ASSERT_TRUE(response);
  EXPECT_FALSE(response->has_value());
}

// RING-012: bytes behind the four indices mean nothing.
TEST_F(FrontRingTest, RING_012_HeaderPaddingChangesNothing) {
  Accesses accesses{.base = area_.bytes().data(), .loads = {}, .stores = {}};
  using Ring = ring::FrontRing<netif_tx_request, netif_tx_response, HostileMemory>;
  auto ring = *Ring::create(area_.bytes(), 0, HostileMemory(accesses));
  accesses.stores.clear();
  for (size_t pad = 16; pad < ring::kHeaderSize; pad += 4) area_.set(pad, 0xffffffff);
  ring.put(request(3));
  EXPECT_TRUE(ring.publish());
  answer(area_, 0, 3);
  area_.set(kRspProd, 1);
  EXPECT_EQ((*ring.take())->id, 3);
  EXPECT_TRUE(ring.arm());

  for (size_t pad = 16; pad < ring::kHeaderSize; pad += 4) {
    EXPECT_FALSE(accesses.loads.contains(pad)) << pad;
    EXPECT_FALSE(accesses.stores.contains(pad)) << pad;
  }
}

}  // namespace
}  // namespace ringside::conformance
