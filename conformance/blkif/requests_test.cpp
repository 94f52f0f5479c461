#include "conformance/blkif/queue_rig.hpp"
#include "protocols/xenvbd/wire.hpp"

namespace ringside::conformance {
namespace {

using xenvbd::kMaxDirectSegments;

class BlkifRequestTest : public QueueRig {};

// BLKIF-IO-011: 1 to 11 segments in a slot, whatever a request has.
TEST_F(BlkifRequestTest, BLKIF_IO_011_MoreSegmentsThanASlotHoldsBecomeSeveralRequests) {
  connect();
  TestRequest& test = submitted(Operation::kWrite, 8, 25);
  std::vector<unsigned> counts;
  uint64_t sector = 8;
  while (const auto request = take()) {
    counts.push_back(request->nr_segments);
    EXPECT_EQ(request->sector_number, sector);
    sector += request->nr_segments * 8u;
    answer(*request);
  }
  EXPECT_EQ(counts, (std::vector<unsigned>{11, 11, 3}));
  EXPECT_EQ(client_.status(test.request.cookie), Status::kOk);
  expect_settled();
}

TEST_F(BlkifRequestTest, BLKIF_IO_011_AFlushHasNoSegments) {
  connect();
  submitted_flush();
  const auto request = take();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->operation, BLKIF_OP_FLUSH_DISKCACHE);
  EXPECT_EQ(request->nr_segments, 0);
  answer(*request);
  expect_settled();
}

/// Leaves no zero on the part of the stack that the next calls use.
[[gnu::noinline]] void dirty_stack() {
  volatile std::byte rubbish[8192];
  for (volatile std::byte& byte : rubbish) byte = std::byte{0xa5};
}

// RING-014: a segment has two bytes of padding, and eight of eleven segments are unused.
TEST_F(BlkifRequestTest, RING_014_PaddingOfRequestsIsZero) {
  connect();
  TestRequest& test = make_pages(Operation::kWrite, 0, 3);
  dirty_stack();
  ASSERT_EQ(submit(test), Status::kOk);
  const auto slot = platform_.last_range().bytes().subspan(ring::kHeaderSize);
  const auto expect_zero = [&](size_t from, size_t to) {
    for (size_t i = from; i < to; ++i) EXPECT_EQ(slot[i], std::byte{0}) << "byte " << i;
  };
  expect_zero(offsetof(blkif_request_t, handle) + 2, offsetof(blkif_request_t, id));
  constexpr size_t kSegments = offsetof(blkif_request_t, seg);
  for (size_t i = 0; i < 3; ++i) expect_zero(kSegments + i * 8 + 6, kSegments + i * 8 + 8);
  expect_zero(kSegments + 3 * 8, sizeof(blkif_request_t));
  serve();
  expect_settled();
}

// BLKIF-IO-012: sectors within the page, inclusive.
TEST_F(BlkifRequestTest, BLKIF_IO_012_SegmentsNameTheirSectorsInclusively) {
  connect();
  TestRequest& test = make(Operation::kRead, 0);
  test.add(0, 512).add(3584, 512).add(1024, 2048).add(0, 4096);
  submitted(test);
  const auto request = take();
  ASSERT_TRUE(request);
  ASSERT_EQ(request->nr_segments, 4);
  const std::pair<int, int> expected[] = {{0, 0}, {7, 7}, {2, 5}, {0, 7}};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(request->seg[i].first_sect, expected[i].first);
    EXPECT_EQ(request->seg[i].last_sect, expected[i].second);
    EXPECT_EQ(grants_.page(request->seg[i].gref), test.page(i).address);
  }
  answer(*request);
  expect_settled();
}

// BLKIF-NEG-008: units of 512 bytes, also on a disk of 4096-byte sectors.
TEST_F(BlkifRequestTest, BLKIF_NEG_008_RingSectorsAre512BytesWhateverTheSectorSize) {
  disk_.sector_size = 4096;
  connect();
  submitted(Operation::kRead, 24, 2);
  const auto request = take();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->sector_number, 24u);
  EXPECT_EQ(request->seg[0].last_sect, 7);
  answer(*request);
  expect_settled();
}

TEST_F(BlkifRequestTest, BLKIF_NEG_008_PartsOfASectorAreRefused) {
  disk_.sector_size = 4096;
  connect();
  EXPECT_EQ(submit(make_pages(Operation::kRead, 1, 1)), Status::kInvalidArgument);
  EXPECT_EQ(submit(make(Operation::kRead, 0).add(0, 512)), Status::kInvalidArgument);
  EXPECT_FALSE(take());
  expect_settled();
}

// BLKIF-NEG-025
TEST_F(BlkifRequestTest, BLKIF_NEG_025_TheHandleIsTheVirtualDeviceNumber) {
  connect();
  submitted(Operation::kRead, 0);
  const auto request = take();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->handle, 768);
  answer(*request);
  expect_settled();
}

// BLKIF-IO-030: refused before anything reaches the ring.
TEST_F(BlkifRequestTest, BLKIF_IO_030_RequestsPastTheEndNeverReachTheRing) {
  connect();
  EXPECT_EQ(submit(make_pages(Operation::kWrite, 65536 - 7, 1)), Status::kInvalidArgument);
  EXPECT_EQ(submit(make_pages(Operation::kRead, 65536, 1)), Status::kInvalidArgument);
  EXPECT_EQ(submit(make_pages(Operation::kRead, ~uint64_t{0} - 3, 1)), Status::kInvalidArgument);
  TestRequest& discard = make(Operation::kDiscard, 65535);
  discard.request.sectors = 2;
  EXPECT_EQ(submit(discard), Status::kInvalidArgument);
  EXPECT_FALSE(take());
  EXPECT_EQ(submit(make_pages(Operation::kRead, 65536 - 8, 1)), Status::kOk);
  EXPECT_TRUE(take());
}

TEST_F(BlkifRequestTest, BLKIF_IO_030_SegmentsThatDoNotAddUpAreRefused) {
  connect();
  TestRequest& more = make_pages(Operation::kRead, 0, 2);
  more.request.sectors = 8;
  EXPECT_EQ(submit(more), Status::kInvalidArgument);
  EXPECT_EQ(submit(make(Operation::kRead, 0).add(512, 4096)), Status::kInvalidArgument);
  EXPECT_EQ(submit(make(Operation::kRead, 0)), Status::kInvalidArgument);
  EXPECT_FALSE(take());
}

// BLKIF-IO-035: 64 bits all the way.
TEST_F(BlkifRequestTest, BLKIF_IO_035_SectorsBeyond32Bits) {
  disk_.sectors = uint64_t{1} << 40;
  connect();
  const uint64_t sector = (uint64_t{1} << 40) - 8;
  submitted(Operation::kWrite, sector);
  const auto request = take();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->sector_number, sector);
  answer(*request);
  expect_settled();
}

// BLKIF-NEG-026
TEST_F(BlkifRequestTest, BLKIF_NEG_026_AReadOnlyDiskTakesNoWrites) {
  disk_.read_only = true;
  connect();
  EXPECT_EQ(submit(make_pages(Operation::kWrite, 0, 1)), Status::kReadOnly);
  EXPECT_FALSE(take());
  submitted(Operation::kRead, 0);
  serve();
  expect_settled();
}

// BLKIF-IO-022: what the peer may write, and what it may only read.
TEST_F(BlkifRequestTest, BLKIF_IO_022_ThePeerGetsNoMoreAccessThanItNeeds) {
  disk_.max_indirect_segments = 32;
  connect();
  submitted(Operation::kWrite, 0);
  submitted(Operation::kRead, 0);
  submitted(Operation::kRead, 0, 12);
  auto request = take();
  EXPECT_EQ(grants_.find(request->seg[0].gref)->access, xenbus::Access::kReadOnly);
  request = take();
  EXPECT_EQ(grants_.find(request->seg[0].gref)->access, xenbus::Access::kReadWrite);
  request = take();
  const auto indirect = ring::slot_as<blkif_request_indirect_t>(*request);
  EXPECT_EQ(grants_.find(indirect.indirect_grefs[0])->access, xenbus::Access::kReadOnly);
}

struct IndirectCase {
  uint32_t limit;
  unsigned pages;
};
class BlkifIndirectTest : public QueueRig, public ::testing::WithParamInterface<IndirectCase> {};

// BLKIF-IO-020: up to the back end's limit, in just the pages that hold the segments.
TEST_P(BlkifIndirectTest, BLKIF_IO_020_IndirectRequestsKeepToTheLimit) {
  const auto [limit, pages] = GetParam();
  disk_.max_indirect_segments = limit;
  platform_.settings["FrontendMaxIndirectSegments"] = 100000;
  connect();
  TestRequest& test = make_pages(Operation::kWrite, 0, pages);
  const auto data = pattern(pages * 4096u, limit);
  test.set_bytes(data);
  submitted(test);
  uint32_t segments = 0;
  std::vector<blkif_request_t> taken;
  while (const auto request = take()) {
    taken.push_back(*request);
    if (request->operation != BLKIF_OP_INDIRECT) {
      segments += request->nr_segments;
      continue;
    }
    const auto indirect = ring::slot_as<blkif_request_indirect_t>(*request);
    EXPECT_EQ(indirect.indirect_op, BLKIF_OP_WRITE);
    EXPECT_GT(indirect.nr_segments, kMaxDirectSegments);
    EXPECT_LE(indirect.nr_segments, std::min(limit, 4096u));
    segments += indirect.nr_segments;
    const unsigned used = (indirect.nr_segments + 511u) / 512u;
    for (unsigned i = 0; i < 8; ++i) EXPECT_EQ(indirect.indirect_grefs[i] != 0, i < used);
  }
  EXPECT_EQ(segments, pages);
  EXPECT_EQ(queue_->statistics().indirect > 0, limit > 11 && pages > 11);
  for (const blkif_request_t& request : taken) answer(request);
  expect_settled();
}

INSTANTIATE_TEST_SUITE_P(Limits, BlkifIndirectTest,
                         ::testing::Values(IndirectCase{0, 40}, IndirectCase{8, 40},
                                           IndirectCase{12, 40}, IndirectCase{32, 40},
                                           IndirectCase{256, 300}, IndirectCase{600, 1300},
                                           IndirectCase{4096, 1500}, IndirectCase{~0u, 1500}));

// BLKIF-IO-021
TEST_F(BlkifRequestTest, BLKIF_IO_021_TheIndirectRequestHas64BytesOnEveryAbi) {
  EXPECT_EQ(sizeof(blkif_request_indirect_t), 64u);
  EXPECT_EQ(offsetof(blkif_request_indirect_t, nr_segments), 2u);
  EXPECT_EQ(sizeof(blkif_request_indirect_t::nr_segments), 2u);
}

struct BounceCase {
  uint32_t sector_size;
  std::vector<std::pair<uint32_t, uint32_t>> segments;
};
class BlkifBounceTest : public QueueRig, public ::testing::WithParamInterface<BounceCase> {};

// BLKIF-IO-036: memory of any alignment, both ways, aligned parts in place.
TEST_P(BlkifBounceTest, BLKIF_IO_036_UnalignedMemoryIsCopiedBothWays) {
  disk_.sector_size = GetParam().sector_size;
  connect();
  TestRequest& write = make(Operation::kWrite, 16);
  TestRequest& read = make(Operation::kRead, 16);
  for (const auto& [offset, length] : GetParam().segments) {
    write.add(offset, length);
    read.add(offset, length);
  }
  const auto data = pattern(write.request.sectors * 512, 3);
  write.set_bytes(data);
  submitted(write);
  serve();
  EXPECT_TRUE(std::equal(data.begin(), data.end(), image_.begin() + 16 * 512));
  submitted(read);
  serve();
  EXPECT_EQ(read.bytes(), data);
  expect_settled();
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, BlkifBounceTest,
    ::testing::Values(BounceCase{512, {{1, 512}}}, BounceCase{512, {{0, 511}, {0, 1}}},
                      BounceCase{512, {{100, 300}, {7, 212}, {512, 512}}},
                      BounceCase{512, {{3584, 512}, {3, 4093}, {0, 3}, {0, 4096}}},
                      BounceCase{512, {{2, 4094}, {0, 4096}, {0, 2}}},
                      BounceCase{4096, {{0, 2048}, {2048, 2048}, {0, 4096}}},
                      BounceCase{4096, {{512, 3584}, {0, 512}}}));

TEST_F(BlkifRequestTest, BLKIF_IO_036_MoreUnalignedMemoryThanBouncePages) {
  connect(4);
  TestRequest& write = make(Operation::kWrite, 0);
  for (unsigned i = 0; i < 200; ++i) write.add(1, 4095).add(0, 1);
  const auto data = pattern(write.request.sectors * 512, 5);
  write.set_bytes(data);
  submitted(write);
  serve();
  EXPECT_EQ(client_.status(write.request.cookie), Status::kOk);
  EXPECT_TRUE(std::equal(data.begin(), data.end(), image_.begin()));
  expect_settled();
}

}  // namespace
}  // namespace ringside::conformance
