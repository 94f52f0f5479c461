#include "conformance/blkif/queue_rig.hpp"
#include "conformance/blkif/random_load.hpp"

namespace ringside::conformance {
namespace {

using Operation = xenvbd::Operation;

/// The end of a queue, against a back end played slot by slot.
class BlkifDrainTest : public QueueRig {
 protected:
  void drain() {
    queue_->drain();
    platform_.expire_timers();
    EXPECT_EQ(submit(make_pages(Operation::kRead, 0, 1)), Status::kClosed);
  }
};

TEST_F(BlkifDrainTest, BLKIF_IO_037_TheFlushComesBehindTheLastWrite) {
  connect();
  for (unsigned i = 0; i < 3; ++i) submitted(Operation::kWrite, i * 8u);
  drain();
  std::vector<blkif_request_t> writes;
  while (const auto request = take()) writes.push_back(*request);
  ASSERT_EQ(writes.size(), 3u);
  for (const blkif_request_t& write : writes) {
    EXPECT_EQ(write.operation, BLKIF_OP_WRITE);
    EXPECT_FALSE(take()) << "a write that it must cover is still under way";
    answer(write);
  }
  const auto flush = take();
  ASSERT_TRUE(flush);
  EXPECT_EQ(flush->operation, BLKIF_OP_FLUSH_DISKCACHE);
  EXPECT_EQ(drained_, 0u);
  answer(*flush);
  EXPECT_EQ(drained_, 1u);
  EXPECT_EQ(client_.completions(), 3u) << "the flush is nobody's";
  EXPECT_EQ(submit(make_pages(Operation::kRead, 0, 1)), Status::kClosed);
  EXPECT_FALSE(take());
  expect_settled();
}

TEST_F(BlkifDrainTest, BLKIF_IO_037_WhatWaitsForASlotIsDoneFirst) {
  connect();
  for (unsigned i = 0; i < 100; ++i) submitted(Operation::kWrite, i * 8u);
  drain();
  serve();
  EXPECT_EQ(client_.completions(), 100u);
  EXPECT_EQ(drained_, 1u);
  expect_settled();
}

TEST_F(BlkifDrainTest, BLKIF_IO_037_BLKIF_IO_017_TheFlushFallsBackAndMayFail) {
  connect();
  drain();
  answer(*take(), BLKIF_RSP_EOPNOTSUPP);
  const auto barrier = take();
  ASSERT_TRUE(barrier);
  EXPECT_EQ(barrier->operation, BLKIF_OP_WRITE_BARRIER);
  EXPECT_EQ(drained_, 0u);
  answer(*barrier, BLKIF_RSP_ERROR);
  EXPECT_EQ(drained_, 1u);
}

TEST_F(BlkifDrainTest, BLKIF_IO_037_ADiskWithoutACacheIsNotFlushed) {
  disk_.flush_cache = disk_.barrier = false;
  connect();
  submitted(Operation::kWrite, 0);
  drain();
  answer(*take());
  EXPECT_FALSE(take());
  EXPECT_EQ(drained_, 1u);
}

TEST_F(BlkifDrainTest, BLKIF_IO_037_BLKIF_IO_031_AConnectionThatIsLostEndsIt) {
  for (const bool flushing : {false, true}) {
    connect();
    if (!flushing) submitted(Operation::kWrite, 0);
    drain();
    ASSERT_TRUE(take());
    reconnect();
    if (!flushing) {
      EXPECT_EQ(take()->operation, BLKIF_OP_WRITE);
    }
    EXPECT_FALSE(take()) << "a flush that nobody waits for";
    EXPECT_EQ(drained_, 0u);
    queue_->stop();
    queue_->disconnect();
    queue_->close();
  }
  expect_settled();
}

// BLKIF-IO-031: a queue that the next back end does not serve hands on what it has, and what a
// former peer held of it when that lets go.
TEST_F(BlkifDrainTest, BLKIF_IO_031_AnIdleQueueHandsOnWhatItHas) {
  connect();
  std::vector<TestRequest*> tests;
  for (unsigned i = 0; i < 3; ++i) tests.push_back(&submitted(Operation::kRead, i * 8u));
  grants_.held.insert(take()->seg[0].gref);
  queue_->stop();
  queue_->disconnect();
  xenvbd::Queue heir(services_, 0, client_, static_cast<xenvbd::Queue::Owner&>(*this));
  ASSERT_EQ(heir.create_parts(), Status::kOk);
  ASSERT_EQ(heir.prepare(1, terms_), Status::kOk);
  back_ = *BackRing::create(platform_.last_range().bytes());
  ASSERT_EQ(heir.start(disk_), Status::kOk);
  heir_ = &heir;
  queue_->idle(disk_);
  tests.push_back(&submitted(Operation::kRead, 24));
  EXPECT_EQ(stranded_, 2u) << "what it had, and what came to a queue that has no ring";
  platform_.expire_timers();
  serve();
  EXPECT_EQ(client_.completions(), 3u);
  EXPECT_FALSE(client_.status(tests[0]->request.cookie)) << "its memory is not ours yet";
  grants_.held.clear();
  platform_.expire_timers();
  EXPECT_EQ(stranded_, 3u);
  platform_.expire_timers();
  serve();
  for (const TestRequest* test : tests) {
    EXPECT_EQ(client_.status(test->request.cookie), Status::kOk);
  }
  EXPECT_EQ(client_.faults(heir), "");
  heir.stop();
  heir.disconnect();
}

/// The end of a disk over the whole stack. Parameter: queues.
class BlkifEndTest : public ::testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    if (const auto why = chosen_xen_lacks(sim::XenFeature::kUpcallVector)) GTEST_SKIP() << *why;
    stack_.guest_config.vcpus = GetParam();
    stack_.settings = {{"FrontendMaxQueues", GetParam()}};
    stack_.connect();
  }
  void submit_writes() {
    for (unsigned i = 0; i < kWrites; ++i) {
      stack_.submitted(stack_.make(Operation::kWrite, i * 24, 3), i % GetParam());
    }
  }
  void expect_all_ended_with(Status status) {
    ASSERT_EQ(stack_.client.completions(), kWrites);
    for (const uint64_t cookie : stack_.client.order()) {
      EXPECT_EQ(stack_.client.status(cookie), status);
    }
  }
  bool is_closed() { return stack_.guest->wait((*stack_.vbd)->device().closed()); }

  static constexpr unsigned kWrites = 60;
  DiskStack stack_{blkback_named("linux")};
};

TEST_P(BlkifEndTest, BLKIF_IO_037_AShutdownFlushesAndCloses) {
  submit_writes();
  stack_.guest->run([&] { (*stack_.vbd)->shut_down(); });
  EXPECT_EQ(stack_.submit(stack_.make(Operation::kRead, 0, 1)), Status::kClosed);
  ASSERT_TRUE(is_closed());
  expect_all_ended_with(Status::kOk);
  EXPECT_EQ(stack_.disk->flushes(), GetParam()) << "one for each queue";
  ASSERT_TRUE(stack_.vbd->connect()) << "and opens again";
  EXPECT_EQ(stack_.write(0, pattern(4096, 1)), Status::kOk);
}

TEST_P(BlkifEndTest, BLKIF_IO_037_AnEjectFlushesAndCloses) {
  submit_writes();
  stack_.host.toolstack().begin_detach(stack_.vbd->paths());
  ASSERT_TRUE(
      stack_.host.run_until([&] { return stack_.host.toolstack().detached(stack_.vbd->paths()); }));
  expect_all_ended_with(Status::kOk);
  EXPECT_EQ(stack_.disk->flushes(), GetParam());
}

TEST_P(BlkifEndTest, BLKIF_IO_037_AnEjectThatIsRefusedFlushesWhenItsOwnerLetsGo) {
  stack_.client.lets_go = false;
  submit_writes();
  stack_.host.toolstack().begin_detach(stack_.vbd->paths());
  ASSERT_TRUE(stack_.wait_for(kWrites));
  stack_.host.pass(platform::kSecond);
  EXPECT_EQ(stack_.disk->flushes(), 0u);
  EXPECT_TRUE((*stack_.vbd)->connected());
  stack_.guest->run([&] { (*stack_.vbd)->shut_down(); });
  ASSERT_TRUE(is_closed());
  EXPECT_EQ(stack_.disk->flushes(), GetParam());
}

// The last writes are worth a reconnect.
TEST_P(BlkifEndTest, BLKIF_IO_037_BLKIF_IO_031_ABackEndThatDiesMeanwhileIsFollowed) {
  stack_.blkback.reset();
  submit_writes();
  stack_.guest->run([&] { (*stack_.vbd)->shut_down(); });
  stack_.host.pass(platform::kSecond);
  EXPECT_EQ(stack_.client.completions(), 0u);
  stack_.start_back_end();
  ASSERT_TRUE(is_closed());
  expect_all_ended_with(Status::kOk);
  EXPECT_EQ(stack_.disk->flushes(), GetParam());
}

TEST_P(BlkifEndTest, BLKIF_IO_037_CloseCutsAShutdownShort) {
  stack_.blkback.reset();
  submit_writes();
  stack_.guest->run([&] { (*stack_.vbd)->shut_down(); });
  stack_.guest->run([&] { (*stack_.vbd)->close(); });
  stack_.start_back_end();
  ASSERT_TRUE(is_closed());
  expect_all_ended_with(Status::kClosed);
  EXPECT_EQ(stack_.disk->flushes(), 0u);
}

TEST_P(BlkifEndTest, BLKIF_IO_037_ASurpriseRemovalCompletesEveryRequestOnce) {
  stack_.blkback.reset();  // so that none is answered
  submit_writes();
  stack_.host.toolstack().force_detach(stack_.vbd->paths());
  ASSERT_TRUE(stack_.host.run_until([&] { return stack_.client.disk_losses() == 1; }));
  stack_.guest->run([&] { (*stack_.vbd)->close(); });
  expect_all_ended_with(Status::kClosed);
}

TEST_P(BlkifEndTest, BLKIF_IO_037_ASurpriseRemovalAmidAnEjectDoesToo) {
  stack_.blkback.reset();
  submit_writes();
  stack_.host.toolstack().begin_detach(stack_.vbd->paths());
  stack_.host.pass(platform::kSecond);
  EXPECT_EQ(stack_.client.disk_losses(), 0u);
  stack_.host.toolstack().force_detach(stack_.vbd->paths());
  ASSERT_TRUE(stack_.host.run_until([&] { return stack_.client.disk_losses() == 1; }));
  stack_.guest->run([&] { (*stack_.vbd)->close(); });
  expect_all_ended_with(Status::kClosed);
}

INSTANTIATE_TEST_SUITE_P(Queues, BlkifEndTest, ::testing::Values(1u, 3u));

}  // namespace
}  // namespace ringside::conformance
