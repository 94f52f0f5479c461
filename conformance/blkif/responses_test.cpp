#include <algorithm>

#include "conformance/blkif/queue_rig.hpp"

namespace ringside::conformance {
namespace {

class BlkifResponseTest : public QueueRig {};

// BLKIF-IO-013: any order, whatever the operation field says.
TEST_F(BlkifResponseTest, BLKIF_IO_013_AnswersInReverseOrder) {
  connect();
  std::vector<blkif_request_t> taken;
  for (unsigned i = 0; i < 20; ++i) submitted(Operation::kRead, i * 8u);
  while (const auto request = take()) taken.push_back(*request);
  ASSERT_EQ(taken.size(), 20u);
  std::reverse(taken.begin(), taken.end());
  for (const blkif_request_t& request : taken) put(request.id, BLKIF_RSP_OKAY, 77);
  publish();
  EXPECT_EQ(client_.completions(), 20u);
  expect_settled();
}

// BLKIF-IO-014
TEST_F(BlkifResponseTest, BLKIF_IO_014_ErrorsReachTheClient) {
  connect();
  TestRequest& failed = submitted(Operation::kRead, 0);
  TestRequest& unsupported = submitted(Operation::kWrite, 0);
  TestRequest& unknown = submitted(Operation::kRead, 0);
  answer(*take(), BLKIF_RSP_ERROR);
  answer(*take(), BLKIF_RSP_EOPNOTSUPP);
  answer(*take(), 17);
  EXPECT_EQ(client_.status(failed.request.cookie), Status::kIoError);
  EXPECT_EQ(client_.status(unsupported.request.cookie), Status::kIoError);
  EXPECT_EQ(client_.status(unknown.request.cookie), Status::kIoError);
  expect_settled();
}

TEST_F(BlkifResponseTest, BLKIF_IO_014_OneFailedPartFailsTheWholeOnce) {
  connect();
  TestRequest& test = submitted(Operation::kRead, 0, 30);
  const auto first = take();
  const auto second = take();
  const auto third = take();
  answer(*first);
  answer(*second, BLKIF_RSP_ERROR);
  EXPECT_FALSE(client_.status(test.request.cookie));
  answer(*third);
  EXPECT_EQ(client_.status(test.request.cookie), Status::kIoError);
  expect_settled();
}

// BLKIF-IO-017: flush, then barrier, then nothing, without the client's noticing.
TEST_F(BlkifResponseTest, BLKIF_IO_017_AFlushFallsBackToABarrierAndThenToNothing) {
  connect();
  TestRequest& flush = submitted_flush();
  answer(*take(), BLKIF_RSP_EOPNOTSUPP);
  EXPECT_FALSE(client_.status(flush.request.cookie));
  EXPECT_EQ(queue_->disk().flush_mode(), xenvbd::FlushMode::kBarrier);
  const auto barrier = take();
  ASSERT_TRUE(barrier);
  EXPECT_EQ(barrier->operation, BLKIF_OP_WRITE_BARRIER);
  EXPECT_EQ(barrier->nr_segments, 0);
  answer(*barrier, BLKIF_RSP_EOPNOTSUPP);
  EXPECT_EQ(client_.status(flush.request.cookie), Status::kOk);
  EXPECT_EQ(queue_->disk().flush_mode(), xenvbd::FlushMode::kNone);

  TestRequest& next = submitted_flush();
  EXPECT_FALSE(take());
  EXPECT_EQ(client_.status(next.request.cookie), Status::kOk);
  expect_settled();
}

TEST_F(BlkifResponseTest, BLKIF_IO_017_SeveralFlushesFallBackAmongOtherRequests) {
  connect();
  for (unsigned i = 0; i < 5; ++i) {
    submitted_flush();
    submitted(Operation::kWrite, i * 8u);
  }
  std::vector<blkif_request_t> taken;
  while (const auto request = take()) taken.push_back(*request);
  for (const blkif_request_t& request : taken) {
    const bool flush = request.operation == BLKIF_OP_FLUSH_DISKCACHE;
    put(request.id, flush ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_OKAY);
  }
  publish();
  unsigned barriers = 0;
  while (const auto request = take()) {
    EXPECT_EQ(request->operation, BLKIF_OP_WRITE_BARRIER);
    ++barriers;
    answer(*request);
  }
  EXPECT_EQ(barriers, 5u);
  EXPECT_EQ(client_.completions(), 10u);
  expect_settled();
}

TEST_F(BlkifResponseTest, BLKIF_IO_017_ADiscardThatIsNotSupportedIsNotTriedAgain) {
  connect();
  TestRequest& discard = make(Operation::kDiscard, 0);
  discard.request.sectors = 64;
  submitted(discard);
  answer(*take(), BLKIF_RSP_EOPNOTSUPP);
  EXPECT_EQ(client_.status(discard.request.cookie), Status::kNotSupported);
  TestRequest& next = make(Operation::kDiscard, 0);
  next.request.sectors = 64;
  EXPECT_EQ(submit(next), Status::kNotSupported);
  expect_settled();
}

TEST_F(BlkifResponseTest, BLKIF_IO_017_DiscardsThatWaitWhenItTurnsOutAreNotTriedEither) {
  connect();
  std::vector<TestRequest*> discards;
  for (uint32_t i = 0; i < queue_->ring_size() + 2; ++i) {
    TestRequest& discard = make(Operation::kDiscard, 0);
    discard.request.sectors = 64;
    discards.push_back(&submitted(discard));
  }
  answer(*take(), BLKIF_RSP_EOPNOTSUPP);
  EXPECT_EQ(client_.completions(), 3u);
  for (const TestRequest* waiting : {discards[0], discards[32], discards[33]}) {
    EXPECT_EQ(client_.status(waiting->request.cookie), Status::kNotSupported);
  }
}

// BLKIF-IO-018: whole extents only; the secure flag for who has it.
TEST_F(BlkifResponseTest, BLKIF_IO_018_DiscardsCoverWholeExtentsAlone) {
  disk_.discard = {.supported = true, .secure = false, .granularity = 8192, .alignment = 512};
  connect();
  TestRequest& discard = make(Operation::kDiscard, 5);
  discard.request.sectors = 60;
  submitted(discard);
  const auto taken = take();
  ASSERT_TRUE(taken);
  const auto request = ring::slot_as<blkif_request_discard_t>(*taken);
  EXPECT_EQ(request.operation, BLKIF_OP_DISCARD);
  EXPECT_EQ(request.flag, 0);
  EXPECT_EQ(request.sector_number, 17u);
  EXPECT_EQ(request.nr_sectors, 48u);
  put(request.id);
  publish();

  TestRequest& small = make(Operation::kDiscard, 2);
  small.request.sectors = 14;
  submitted(small);
  EXPECT_FALSE(take());
  EXPECT_EQ(client_.status(small.request.cookie), Status::kOk);
  expect_settled();
}

TEST_F(BlkifResponseTest, BLKIF_IO_018_SecureDiscardOnlyWhereItIsOffered) {
  connect();
  TestRequest& refused = make(Operation::kDiscard, 0);
  refused.request.sectors = 8;
  refused.request.secure = true;
  EXPECT_EQ(submit(refused), Status::kNotSupported);
  disk_.discard.secure = true;
  reconnect();
  TestRequest& secure = make(Operation::kDiscard, 0);
  secure.request.sectors = 8;
  secure.request.secure = true;
  submitted(secure);
  const auto request = ring::slot_as<blkif_request_discard_t>(*take());
  EXPECT_EQ(request.flag, BLKIF_DISCARD_SECURE);
  TestRequest& parts = make(Operation::kDiscard, 4);
  parts.request.sectors = 8;
  parts.request.secure = true;
  EXPECT_EQ(submit(parts), Status::kInvalidArgument);
}

// BLKIF-IO-033: no id that a peer makes up does anything.
TEST_F(BlkifResponseTest, BLKIF_IO_033_IdsThatBelongToNoRequestAreIgnored) {
  connect();
  std::vector<blkif_request_t> taken;
  for (unsigned i = 0; i < 12; ++i) submitted(Operation::kRead, i * 8u);
  while (const auto request = take()) taken.push_back(*request);
  const uint64_t good = taken[11].id;
  const uint64_t ids[] = {0,
                          ~uint64_t{0},
                          good + 100,                  // an index that is not in use
                          good | 0xffff,               // one past every ring
                          good + (uint64_t{1} << 16),  // a generation to come
                          good & 0xffff,               // one long gone
                          good | uint64_t{1} << 63,
                          0x4141414141414141};
  for (const uint64_t id : ids) put(id);
  publish();
  EXPECT_EQ(client_.completions(), 0u);
  EXPECT_EQ(queue_->statistics().bad_responses, std::size(ids));
  put(good);
  publish();
  EXPECT_EQ(client_.completions(), 1u);
  EXPECT_EQ(failure_, Status::kOk);
}

TEST_F(BlkifResponseTest, BLKIF_IO_033_ASecondAnswerIsIgnored) {
  connect();
  submitted(Operation::kRead, 0);
  TestRequest& other = submitted(Operation::kRead, 8);
  const auto first = take();
  put(first->id);
  put(first->id);
  publish();
  EXPECT_EQ(client_.completions(), 1u);
  EXPECT_FALSE(client_.status(other.request.cookie));
  EXPECT_EQ(queue_->statistics().bad_responses, 1u);
  EXPECT_NE(client_.faults(*queue_), "");
}

TEST_F(BlkifResponseTest, BLKIF_IO_033_AnAnswerToWhatWasNotShownYetIsIgnored) {
  connect();
  submitted(Operation::kRead, 0);
  submitted(Operation::kRead, 8);
  const uint64_t last = take()->id + 2;
  (void)take();
  TestRequest& hidden = make_pages(Operation::kRead, 16, 1);
  client_.expect(hidden.request);
  ASSERT_EQ(queue_->submit(hidden.request), Status::kOk);
  put(last);
  publish();
  EXPECT_EQ(queue_->statistics().bad_responses, 1u);
  EXPECT_FALSE(client_.status(hidden.request.cookie));
  queue_->kick();
  const auto shown = take();
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->id, last);
  EXPECT_NE(grants_.page(shown->seg[0].gref), nullptr);
}

TEST_F(BlkifResponseTest, BLKIF_IO_033_AnIdOfAnEarlierUseOfTheSlotIsIgnored) {
  connect();
  submitted(Operation::kRead, 0);
  const uint64_t old = take()->id;
  put(old);
  publish();
  TestRequest& test = submitted(Operation::kRead, 0);
  const uint64_t id = take()->id;
  EXPECT_EQ(id & 0xffff, old & 0xffff) << "the same slot";
  put(old);
  publish();
  EXPECT_FALSE(client_.status(test.request.cookie));
}

// BLKIF-IO-033 with RING-008: more answers than requests close the device.
TEST_F(BlkifResponseTest, BLKIF_IO_033_MoreAnswersThanRequestsCloseTheDevice) {
  connect();
  submitted(Operation::kRead, 0);
  ring::SharedView view(platform_.last_range().bytes());
  view.store_release(ring::kRspProd, 9);
  events_.deliver();
  EXPECT_EQ(failure_, Status::kPeerViolation);
  queue_->disconnect();
  queue_->close();
  expect_settled();
}

// GRANT-002: memory is the client's again only when the peer let go.
TEST_F(BlkifResponseTest, GRANT_002_ARequestWhoseMemoryThePeerHoldsIsNotCompleted) {
  connect();
  TestRequest& test = submitted(Operation::kRead, 0);
  const auto request = take();
  grants_.held.insert(request->seg[0].gref);
  answer(*request);
  EXPECT_FALSE(client_.status(test.request.cookie));
  platform_.expire_timers();
  EXPECT_FALSE(client_.status(test.request.cookie));
  grants_.held.clear();
  platform_.expire_timers();
  EXPECT_EQ(client_.status(test.request.cookie), Status::kOk);
  expect_settled();
}

TEST_F(BlkifResponseTest, GRANT_002_ABouncePageThatThePeerHoldsGoesToTheBus) {
  connect();
  TestRequest& test = make(Operation::kRead, 0);
  test.add(1, 512);
  submitted(test);
  const auto request = take();
  const auto data = pattern(512, 9);
  std::memcpy(grants_.page(request->seg[0].gref), data.data(), data.size());
  grants_.held.insert(request->seg[0].gref);
  answer(*request);
  EXPECT_EQ(client_.status(test.request.cookie), Status::kOk);
  EXPECT_EQ(test.bytes(), data);
  EXPECT_EQ(grants_.parked(), 1u);
  expect_settled();
}

}  // namespace
}  // namespace ringside::conformance
