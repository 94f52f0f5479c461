#include "sim/machine/timers.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>

namespace ringside::sim {
namespace {

using platform::kMillisecond;

enum class Kind { kDeterministic, kThreaded };

class TimersTest : public testing::TestWithParam<Kind> {
 protected:
  static constexpr Timers::Key kKey{1, Timers::Kind::kSingle, 0};
  static constexpr Timers::Key kOther{2, Timers::Kind::kPeriodic, 0};

  TimersTest() {
    // Somebody who waits, or no time would pass.
    world_->spawn("clock", [this] {
      while (!over_.load()) Actor::current()->sleep(world_->now() + kMillisecond);
    });
  }
  ~TimersTest() override { over_.store(true); }
  Nanoseconds in(uint64_t milliseconds) { return world_->now() + milliseconds * kMillisecond; }
  bool fires(int times, uint64_t milliseconds) {
    return world_->run_until([&] { return fired_.load() >= times; }, milliseconds * kMillisecond);
  }

  std::unique_ptr<World> world_ =
      GetParam() == Kind::kThreaded ? World::threaded(1) : World::deterministic(1);
  std::atomic<bool> over_{false};
  std::atomic<int> fired_{0};
  std::function<void()> fire_ = [this] { fired_.fetch_add(1); };
  Timers timers_{*world_};
};

INSTANTIATE_TEST_SUITE_P(Kinds, TimersTest, testing::Values(Kind::kDeterministic, Kind::kThreaded),
                         [](const auto& kind) {
                           return kind.param == Kind::kThreaded ? "Threaded" : "Deterministic";
                         });

TEST_P(TimersTest, ATimerFiresOnceAtItsTime) {
  const Nanoseconds when = in(5);
  timers_.set(kKey, when, fire_);
  EXPECT_TRUE(fires(1, 10'000));
  EXPECT_GE(world_->now(), when);
  EXPECT_FALSE(fires(2, 20));
}

TEST_P(TimersTest, TheEarlierOneOfTwoFiresFirst) {
  std::atomic<int> early{0};
  timers_.set(kOther, in(10'000), fire_);
  timers_.set(kKey, in(1), [&] { early.fetch_add(1); });
  EXPECT_TRUE(world_->run_until([&] { return early.load() == 1; }, 5'000 * kMillisecond));
  EXPECT_EQ(fired_.load(), 0);
}

TEST_P(TimersTest, ATimerThatIsSetAnewForgetsItsFormerTime) {
  timers_.set(kKey, in(10'000), fire_);
  timers_.set(kKey, in(1), fire_);
  EXPECT_TRUE(fires(1, 5'000));
}

TEST_P(TimersTest, WhatIsStoppedDoesNotFire) {
  timers_.set(kKey, in(10), fire_);
  timers_.set({1, Timers::Kind::kWatchdog, 1}, in(10), fire_);
  timers_.stop(kKey);
  timers_.stop_all(1);
  EXPECT_FALSE(fires(1, 40));
}

TEST_P(TimersTest, AnotherDomainsGoOn) {
  timers_.set(kOther, in(2), fire_);
  timers_.stop_all(1);
  EXPECT_TRUE(fires(1, 10'000));
}

TEST_P(TimersTest, APeriodRepeatsUntilStopped) {
  timers_.set(kOther, in(2), fire_, 2 * kMillisecond);
  EXPECT_TRUE(fires(5, 10'000));
  timers_.stop(kOther);
  (void)fires(fired_.load() + 2, 10);  // one may have been on its way
  const int then = fired_.load();
  EXPECT_FALSE(fires(then + 1, 20));
}

TEST_P(TimersTest, WhatWasMissedIsLeftOut) {
  constexpr Nanoseconds kPeriod = kMillisecond / 10;
  const Nanoseconds before = world_->now();
  timers_.set(kOther, 1, fire_, kPeriod);
  EXPECT_TRUE(fires(1, 10'000));
  (void)fires(1'000'000, 1);
  timers_.stop(kOther);
  const auto most = static_cast<int>((world_->now() - before) / kPeriod + 2);
  EXPECT_LE(fired_.load(), most) << "one for all periods that were over";
}

}  // namespace
}  // namespace ringside::sim
