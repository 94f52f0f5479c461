#include <algorithm>

#include "conformance/blkif/queue_rig.hpp"

namespace ringside::conformance {
namespace {

class BlkifPersistentTest : public QueueRig {
 protected:
  BlkifPersistentTest() {
    terms_.persistent = true;
    disk_.persistent = true;
  }
  /// Writes and reads `pages` back through whatever grants there are.
  void expect_right(unsigned pages, uint32_t seed) {
    TestRequest& write = make_pages(Operation::kWrite, 64, pages);
    const auto data = pattern(pages * 4096u, seed);
    write.set_bytes(data);
    submitted(write);
    serve();
    EXPECT_EQ(client_.status(write.request.cookie), Status::kOk);
    EXPECT_TRUE(std::equal(data.begin(), data.end(), image_.begin() + 64 * 512));
    TestRequest& read = submitted(Operation::kRead, 64, pages);
    serve();
    EXPECT_EQ(read.bytes(), data);
  }
  bool is_in_place(const TestRequest& test, const blkif_request_segment& segment) {
    return grants_.page(segment.gref) == test.page(0).address;
  }
};

TEST_F(BlkifPersistentTest, BLKIF_IO_023_APageIsGrantedForWritingAndUsedAgain) {
  connect();
  TestRequest& write = submitted(Operation::kWrite, 0);
  const auto first = take();
  const auto ref = first->seg[0].gref;
  EXPECT_EQ(grants_.find(ref)->access, xenbus::Access::kReadWrite);
  EXPECT_FALSE(is_in_place(write, first->seg[0]));
  answer(*first);
  for (const auto operation : {Operation::kRead, Operation::kWrite, Operation::kRead}) {
    submitted(operation, 8);
    const auto next = take();
    EXPECT_EQ(next->seg[0].gref, ref);
    answer(*next);
  }
  EXPECT_EQ(queue_->statistics().kept, 4u);
  expect_settled();
}

TEST_F(BlkifPersistentTest, BLKIF_IO_023_TheLastOneGivenBackIsTheFirstUsedAgain) {
  connect();
  std::vector<blkif_request_t> taken;
  for (unsigned i = 0; i < 5; ++i) submitted(Operation::kWrite, i * 8u);
  while (const auto request = take()) taken.push_back(*request);
  ASSERT_EQ(taken.size(), 5u);
  for (const size_t i : {3u, 0u, 4u, 1u, 2u}) answer(taken[i]);
  for (unsigned i = 0; i < 5; ++i) submitted(Operation::kWrite, i * 8u);
  for (const size_t i : {2u, 1u, 4u, 0u, 3u}) EXPECT_EQ(take()->seg[0].gref, taken[i].seg[0].gref);
}

TEST_F(BlkifPersistentTest, BLKIF_IO_023_BytesArriveThroughDirectAndIndirectRequests) {
  for (const uint32_t segments : {0u, 64u}) {
    disk_.max_indirect_segments = segments;
    connect(1);
    for (unsigned pages = 1; pages < 100; pages += 13) expect_right(pages, pages + segments);
    TestRequest& odd = make(Operation::kWrite, 0).add(7, 1000).add(100, 24).add(512, 3584);
    const auto data = pattern(odd.request.sectors * 512, segments + 1);
    odd.set_bytes(data);
    submitted(odd);
    serve();
    EXPECT_TRUE(std::equal(data.begin(), data.end(), image_.begin()));
    EXPECT_EQ(queue_->statistics().indirect > 0, segments > 0);
    queue_->stop();
    queue_->disconnect();
  }
  expect_settled();
}

// Who keeps grants maps them all alike, the pages of segments too: Linux' blkback does.
TEST_F(BlkifPersistentTest, BLKIF_IO_023_PagesOfSegmentsAreGrantedForWritingToo) {
  disk_.max_indirect_segments = 32;
  connect();
  submitted(Operation::kWrite, 0, 12);
  const auto indirect = ring::slot_as<blkif_request_indirect_t>(*take());
  EXPECT_EQ(grants_.find(indirect.indirect_grefs[0])->access, xenbus::Access::kReadWrite);
}

TEST_F(BlkifPersistentTest, BLKIF_IO_023_NoMorePagesThanTheRingCanName) {
  connect();
  const size_t before = grants_.live();
  std::vector<blkif_request_t> taken;
  for (int round = 0; round < 2; ++round) {
    for (unsigned i = 0; i < 100; ++i) submitted(Operation::kRead, i * 88u, 11);
    while (const auto request = take()) taken.push_back(*request);
    EXPECT_EQ(grants_.live(), before + 32 * 11);
    for (const blkif_request_t& request : taken) answer(request);
    serve();
    taken.clear();
    EXPECT_EQ(grants_.live(), before + 32 * 11);
  }
  EXPECT_EQ(client_.completions(), 200u);
  queue_->stop();
  queue_->disconnect();
  EXPECT_EQ(grants_.live(), 0u);
  requests_.clear();
  EXPECT_LE(platform_.pages_in_use(), xenvbd::BouncePool::kReserve);
}

TEST_F(BlkifPersistentTest, BLKIF_IO_023_ShortOfGrantsThePoolStaysAsItIs) {
  connect();
  grants_.limit = static_cast<uint32_t>(grants_.live()) + 3;
  expect_right(30, 1);
  EXPECT_EQ(grants_.live(), grants_.limit);
  EXPECT_EQ(queue_->statistics().kept, 60u) << "and nothing is granted in place";
  expect_settled();
}

TEST_F(BlkifPersistentTest, BLKIF_IO_023_ShortOfMemoryThePoolStaysAsItIs) {
  connect(3);
  TestRequest& test = make_pages(Operation::kWrite, 0, 200);
  const auto data = pattern(200 * 4096, 5);
  test.set_bytes(data);
  platform_.page_limit = platform_.pages_in_use() + 2;
  submitted(test);
  serve();
  EXPECT_EQ(client_.status(test.request.cookie), Status::kOk);
  EXPECT_TRUE(std::equal(data.begin(), data.end(), image_.begin()));
  EXPECT_EQ(platform_.pages_in_use(), platform_.page_limit);
  expect_settled();
}

TEST_F(BlkifPersistentTest, BLKIF_IO_023_WithoutBothSidesGrantsEndWithTheirRequest) {
  for (const bool ours : {false, true}) {
    terms_.persistent = ours;
    disk_.persistent = !ours;
    connect();
    const size_t before = grants_.live();
    TestRequest& test = submitted(Operation::kWrite, 0);
    const auto request = take();
    EXPECT_TRUE(is_in_place(test, request->seg[0]));
    EXPECT_EQ(grants_.find(request->seg[0].gref)->access, xenbus::Access::kReadOnly);
    answer(*request);
    EXPECT_EQ(grants_.live(), before);
    queue_->stop();
    queue_->disconnect();
  }
  EXPECT_EQ(queue_->statistics().kept, 0u);
  expect_settled();
}

TEST_F(BlkifPersistentTest, BLKIF_IO_024_NothingIsRevokedWhileConnected) {
  disk_.max_indirect_segments = 64;
  connect(2);
  for (unsigned i = 0; i < 20; ++i) expect_right(1 + i * 7 % 90, i);
  EXPECT_EQ(grants_.revoked(), 0u);
  queue_->stop();
  queue_->disconnect();
  EXPECT_EQ(grants_.live(), 0u);
  expect_settled();
}

// GRANT-002 at the end of a connection with a back end that died holding them.
TEST_F(BlkifPersistentTest, BLKIF_IO_024_WhatTheOldPeerStillMapsIsNotGivenToTheNew) {
  connect();
  submitted(Operation::kRead, 0);
  const auto request = take();
  const auto ref = request->seg[0].gref;
  const std::byte* page = grants_.page(ref);
  answer(*request);
  grants_.held.insert(ref);
  reconnect();
  EXPECT_EQ(grants_.parked(), 1u);
  std::vector<blkif_request_t> taken;
  for (unsigned i = 0; i < 30; ++i) submitted(Operation::kRead, 0);
  while (const auto next = take()) taken.push_back(*next);
  for (const blkif_request_t& next : taken) {
    EXPECT_TRUE(grants_.page(next.seg[0].gref) != page || next.seg[0].gref != ref);
    answer(next);
  }
  expect_settled();
}

TEST_F(BlkifPersistentTest, BLKIF_IO_024_BLKIF_IO_031_ANewPeerMayDoWithoutAndTheNextWith) {
  connect();
  for (int round = 0; round < 6; ++round) {
    TestRequest& waits = submitted(Operation::kRead, 64, 20);
    ASSERT_TRUE(take());
    disk_.persistent = round % 2 == 1;
    reconnect(static_cast<uint32_t>(round % 3));
    serve();
    EXPECT_EQ(client_.status(waits.request.cookie), Status::kOk);
    expect_right(25, static_cast<uint32_t>(round));
  }
  expect_settled();
}

}  // namespace
}  // namespace ringside::conformance
