#include "conformance/blkif/queue_rig.hpp"

namespace ringside::conformance {
namespace {

class BlkifOrderTest : public QueueRig, public ::testing::WithParamInterface<uint32_t> {
 protected:
  static constexpr unsigned kMany = 1500;
  void submit_many() {
    for (unsigned i = 0; i < kMany; ++i) submitted(Operation::kRead, i * 8u);
  }
};

// BLKIF-IO-029: what finds no slot waits, in order, and goes on at the first answer.
TEST_P(BlkifOrderTest, BLKIF_IO_029_AFullRingKeepsTheOrder) {
  connect(GetParam());
  submit_many();
  std::vector<blkif_request_t> taken;
  while (const auto request = take()) taken.push_back(*request);
  EXPECT_EQ(taken.size(), queue_->ring_size());
  answer(taken[0]);
  const auto next = take();
  ASSERT_TRUE(next) << "one answer, one more request";
  EXPECT_EQ(next->sector_number, queue_->ring_size() * 8u);
  EXPECT_FALSE(take());
  answer(*next);
  for (size_t i = 1; i < taken.size(); ++i) answer(taken[i]);
  uint64_t expected = (queue_->ring_size() + 1) * 8u;
  while (const auto request = take()) {
    EXPECT_EQ(request->sector_number, expected);
    expected += 8;
    answer(*request);
  }
  EXPECT_EQ(client_.completions(), kMany);
  EXPECT_GT(queue_->statistics().ring_full, 0u);
  expect_settled();
}

// BLKIF-IO-031: what was under way is issued again, once, in the order it came.
TEST_P(BlkifOrderTest, BLKIF_IO_031_AReconnectIssuesTheRestAgainInOrder) {
  connect(GetParam());
  submit_many();
  std::vector<blkif_request_t> taken;
  while (const auto request = take()) taken.push_back(*request);
  for (size_t i = 0; i < taken.size(); i += 2) answer(taken[i]);
  const size_t done = client_.completions();
  queue_->stop();
  queue_->disconnect();
  EXPECT_EQ(client_.completions(), done);
  EXPECT_EQ(grants_.live(), 0u);
  connect((GetParam() + 1) % 5);
  uint64_t last = 0;
  while (const auto request = take()) {
    EXPECT_GT(request->sector_number, last) << "out of order, or twice";
    last = request->sector_number;
    answer(*request);
  }
  EXPECT_EQ(client_.completions(), kMany);
  expect_settled();
}

INSTANTIATE_TEST_SUITE_P(RingOrders, BlkifOrderTest, ::testing::Range(0u, 5u));

class BlkifReconnectTest : public QueueRig {};

TEST_F(BlkifReconnectTest, BLKIF_IO_031_WritesAndFlushesKeepTheirOrder) {
  connect();
  for (unsigned i = 0; i < 3; ++i) {
    submitted(Operation::kWrite, i * 8u);
    submitted_flush();
  }
  reconnect();
  for (unsigned i = 0; i < 3; ++i) {
    const auto write = take();
    ASSERT_TRUE(write);
    EXPECT_EQ(write->operation, BLKIF_OP_WRITE);
    EXPECT_EQ(write->sector_number, i * 8u);
    EXPECT_EQ(take()->operation, BLKIF_OP_FLUSH_DISKCACHE);
  }
}

TEST_F(BlkifReconnectTest, BLKIF_IO_031_ClosingCompletesWhatWaitsOnce) {
  connect();
  std::vector<TestRequest*> tests;
  for (unsigned i = 0; i < 100; ++i) tests.push_back(&submitted(Operation::kRead, i * 8u, 3));
  answer(*take());
  queue_->stop();
  queue_->disconnect();
  queue_->close();
  EXPECT_EQ(client_.completions(), 100u);
  EXPECT_EQ(client_.status(tests[0]->request.cookie), Status::kOk);
  EXPECT_EQ(client_.status(tests[99]->request.cookie), Status::kClosed);
  EXPECT_EQ(submit(make_pages(Operation::kRead, 0, 1)), Status::kClosed);
  expect_settled();
}

TEST_F(BlkifReconnectTest, BLKIF_IO_031_RequestsWaitWhileThereIsNoBackEnd) {
  connect();
  queue_->stop();
  queue_->disconnect();
  TestRequest& test = submitted(Operation::kRead, 8);
  connect();
  serve();
  EXPECT_EQ(client_.status(test.request.cookie), Status::kOk);
  expect_settled();
}

TEST_F(BlkifReconnectTest, BLKIF_IO_031_APartlyAnsweredRequestBeginsAgain) {
  connect();
  TestRequest& test = make_pages(Operation::kWrite, 0, 60);
  const auto data = pattern(60 * 4096, 4);
  test.set_bytes(data);
  submitted(test);
  answer(*take());
  answer(*take());
  reconnect();
  serve();
  EXPECT_TRUE(std::equal(data.begin(), data.end(), image_.begin()));
  EXPECT_EQ(client_.status(test.request.cookie), Status::kOk);
  expect_settled();
}

TEST_F(BlkifReconnectTest, BLKIF_IO_031_MemoryThatTheOldPeerHoldsIsNotGivenToTheNew) {
  connect();
  TestRequest& held = submitted(Operation::kRead, 0);
  TestRequest& other = submitted(Operation::kRead, 8);
  grants_.held.insert(take()->seg[0].gref);
  reconnect();
  EXPECT_FALSE(take()) << "in order: both wait";
  grants_.held.clear();
  platform_.expire_timers();
  serve();
  EXPECT_EQ(client_.status(held.request.cookie), Status::kOk);
  EXPECT_EQ(client_.status(other.request.cookie), Status::kOk);
  expect_settled();
}

TEST_F(BlkifReconnectTest, BLKIF_IO_031_ARingThatTheOldPeerHoldsIsKept) {
  connect();
  grants_.held.insert(8);  // the first reference: the ring's
  ASSERT_NE(grants_.page(8), nullptr);
  queue_->stop();
  queue_->disconnect();
  EXPECT_EQ(queue_->prepare(1, terms_), Status::kBusy);
  EXPECT_NE(grants_.page(8), nullptr);
  grants_.held.clear();
  connect();
  submitted(Operation::kRead, 0);
  serve();
  expect_settled();
}

// BLKIF-NEG-032: what the new back end can't do is over, for what waits too.
TEST_F(BlkifReconnectTest, BLKIF_NEG_032_ALesserBackEndGetsOnlyWhatItCan) {
  disk_.max_indirect_segments = 256;
  connect(4);
  TestRequest& large = submitted(Operation::kRead, 0, 40);
  submitted_flush();
  TestRequest& discard = make(Operation::kDiscard, 0);
  discard.request.sectors = 64;
  submitted(discard);
  TestRequest& far = submitted(Operation::kRead, 65528);
  EXPECT_EQ(take()->operation, BLKIF_OP_INDIRECT);

  disk_ = xenvbd::Disk{};
  disk_.sectors = 1024;
  reconnect(0);
  EXPECT_EQ(client_.status(discard.request.cookie), Status::kNotSupported);
  EXPECT_EQ(client_.status(far.request.cookie), Status::kInvalidArgument);
  while (const auto request = take()) {
    EXPECT_EQ(request->operation, BLKIF_OP_READ);
    answer(*request);
  }
  EXPECT_EQ(client_.status(large.request.cookie), Status::kOk);
  EXPECT_EQ(client_.completions(), 4u);
  expect_settled();
}

// BLKIF-IO-029, when it is grants that are short.
TEST_F(BlkifReconnectTest, BLKIF_IO_029_ShortOfGrantsRequestsWaitAndGoOn) {
  connect();
  grants_.limit = static_cast<uint32_t>(grants_.live()) + 4;
  TestRequest& test = submitted(Operation::kRead, 0, 30);
  serve();
  EXPECT_EQ(client_.status(test.request.cookie), Status::kOk);
  grants_.limit = static_cast<uint32_t>(grants_.live());
  TestRequest& next = submitted(Operation::kRead, 0);
  EXPECT_FALSE(take());
  EXPECT_TRUE(platform_.timer_armed());
  grants_.limit = ~0u;
  platform_.expire_timers();
  serve();
  EXPECT_EQ(client_.status(next.request.cookie), Status::kOk);
  expect_settled();
}

// BLKIF-NEG-028: more room at once, less room at once.
TEST_F(BlkifReconnectTest, BLKIF_NEG_028_RequestsAreHeldToThePresentSize) {
  connect();
  EXPECT_EQ(submit(make_pages(Operation::kRead, 65536, 1)), Status::kInvalidArgument);
  queue_->resize(65544);
  submitted(Operation::kRead, 65536);
  EXPECT_TRUE(take());
  queue_->resize(8);
  EXPECT_EQ(submit(make_pages(Operation::kRead, 8, 1)), Status::kInvalidArgument);
}

// XENBUS-009: everything is given back when the queue goes.
TEST_F(BlkifReconnectTest, XENBUS_009_NothingStaysGranted) {
  disk_.max_indirect_segments = 64;
  connect(3);
  submitted(Operation::kRead, 0, 50);
  submitted(make(Operation::kWrite, 0).add(1, 512));
  queue_.reset();
  EXPECT_EQ(grants_.live(), 0u);
  EXPECT_FALSE(events_.open());
  requests_.clear();
  EXPECT_EQ(platform_.pages_in_use(), 0u);
}

}  // namespace
}  // namespace ringside::conformance
