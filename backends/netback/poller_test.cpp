#include "backends/netback/poller.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>

namespace ringside::backends {
namespace {

class PollerTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(poller_, nullptr);
    ASSERT_EQ(pipe(pipe_), 0);
    ASSERT_EQ(pipe(other_), 0);
    ASSERT_TRUE(poller_->add(pipe_[0], [this] { count(calls_); }));
    ASSERT_TRUE(poller_->add(other_[0], [this] { count(other_calls_); }));
  }
  void TearDown() override {
    poller_.reset();
    for (const int file : {pipe_[0], pipe_[1], other_[0], other_[1]}) close(file);
  }

  static void count(std::atomic<unsigned>& calls) {
    ++calls;
    calls.notify_all();
  }
  static void put(const int (&pipe)[2]) { ASSERT_EQ(write(pipe[1], "x", 1), 1); }
  /// What was to happen before this call has happened when it returns.
  void pass_through() {
    const unsigned before = other_calls_;
    poller_->arm(other_[0]);
    other_calls_.wait(before);
  }

  std::unique_ptr<Poller> poller_ = Poller::create();
  int pipe_[2]{-1, -1};
  int other_[2]{-1, -1};
  std::atomic<unsigned> calls_ = 0;
  std::atomic<unsigned> other_calls_ = 0;
};

TEST_F(PollerTest, SaysOnceForEachArm) {
  put(pipe_);
  put(other_);
  pass_through();
  EXPECT_EQ(calls_, 0u);
  for (unsigned i = 1; i <= 3; ++i) {
    poller_->arm(pipe_[0]);
    calls_.wait(i - 1);
    pass_through();
    EXPECT_EQ(calls_, i);
  }
}

TEST_F(PollerTest, WaitsForWhatComesLater) {
  put(other_);
  poller_->arm(pipe_[0]);
  pass_through();
  EXPECT_EQ(calls_, 0u);
  put(pipe_);
  calls_.wait(0);
  EXPECT_EQ(calls_, 1u);
}

TEST_F(PollerTest, SaysNothingOfAFileThatWasRemoved) {
  put(pipe_);
  put(other_);
  poller_->remove(pipe_[0]);
  poller_->arm(pipe_[0]);
  pass_through();
  EXPECT_EQ(calls_, 0u);
}

}  // namespace
}  // namespace ringside::backends
