#include "sim/world/world.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

namespace ringside::sim {
namespace {

using platform::kForever;
using platform::kMillisecond;
using platform::kSecond;

std::string order_of(uint64_t seed) {
  const auto world = World::deterministic(seed);
  std::string order;
  for (const char name : {'a', 'b', 'c', 'd'}) {
    world->spawn(std::string(1, name), [&order, &world, name] {
      for (int i = 0; i < 8; ++i) {
        order += name;
        world->trace().record(Trace::Kind::kWorld, "turn", {static_cast<uint64_t>(name)});
        Actor::current()->sleep(world->now());
      }
    });
  }
  EXPECT_FALSE(world->run_until([] { return false; }, kSecond));
  return order + ' ' + world->trace().digest();
}

TEST(DeterministicWorldTest, SameSeedSameOrder) {
  EXPECT_EQ(order_of(1), order_of(1));
  EXPECT_NE(order_of(1), order_of(2));
}

TEST(DeterministicWorldTest, TimeJumpsToTheNextDeadline) {
  const auto world = World::deterministic(3);
  const Nanoseconds start = world->now();
  bool done = false;
  world->spawn("sleeper", [&] {
    Actor::current()->sleep(start + 3600 * kSecond);
    done = true;
  });
  EXPECT_TRUE(world->run_until([&] { return done; }, kForever));
  EXPECT_GE(world->now(), start + 3600 * kSecond);
  EXPECT_LT(world->now(), start + 3601 * kSecond);
}

TEST(DeterministicWorldTest, TheBudgetEndsTheRunBeforeTheDeadline) {
  const auto world = World::deterministic(3);
  const Nanoseconds start = world->now();
  bool done = false;
  world->spawn("sleeper", [&] {
    Actor::current()->sleep(start + 2 * kSecond);
    done = true;
  });
  EXPECT_FALSE(world->run_until([&] { return done; }, kSecond));
  EXPECT_EQ(world->now(), start + kSecond);
  EXPECT_TRUE(world->run_until([&] { return done; }, 2 * kSecond));
}

TEST(DeterministicWorldTest, PollingTheClockEnds) {
  const auto world = World::deterministic(3);
  bool done = false;
  world->spawn("poller", [&] {
    const Nanoseconds until = world->now() + kMillisecond;
    while (world->now() < until) Actor::current()->sleep(world->now());
    done = true;
  });
  EXPECT_TRUE(world->run_until([&] { return done; }, kSecond));
}

TEST(DeterministicWorldTest, AnExceptionComesOutOfTheRun) {
  const auto world = World::deterministic(3);
  world->spawn("thrower", [] { throw std::runtime_error("broken"); });
  EXPECT_THROW(world->run_until([] { return false; }, kSecond), std::runtime_error);
}

TEST(DeterministicWorldTest, AnActorMaySwitchInsideAHandler) {
  const auto world = World::deterministic(3);
  int caught = 0;
  for (int i = 0; i < 3; ++i) {
    world->spawn("catcher", [&, i] {
      try {
        throw i;
      } catch (int) {
        Actor::current()->sleep(world->now());
        try {
          throw;
        } catch (int again) {
          caught += again == i ? 1 : 0;
        }
      }
    });
  }
  EXPECT_FALSE(world->run_until([] { return false; }, kSecond));
  EXPECT_EQ(caught, 3);
}

struct Kind {
  const char* name;
  std::unique_ptr<World> (*create)(uint64_t);
};

class WorldTest : public testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<World> world_ = GetParam().create(7);
};

TEST_P(WorldTest, WakeEndsASleepAndIsNotLost) {
  std::atomic<int> turns{0};
  Actor& sleeper = world_->spawn("sleeper", [&] {
    for (int i = 0; i < 100; ++i) {
      while (turns.load() % 2 == 0) Actor::current()->sleep();
      ++turns;
    }
  });
  world_->spawn("waker", [&] {
    for (int i = 0; i < 100; ++i) {
      ++turns;
      sleeper.wake();
      while (turns.load() % 2 == 1) Actor::current()->sleep(world_->now() + 1000);
    }
  });
  EXPECT_TRUE(world_->run_until([&] { return turns.load() == 200; }, 60 * kSecond));
}

TEST_P(WorldTest, ADeadlineEndsASleep) {
  std::atomic<bool> done{false};
  world_->spawn("sleeper", [&] {
    const Nanoseconds until = world_->now() + kMillisecond;
    while (world_->now() < until) Actor::current()->sleep(until);
    done = true;
  });
  EXPECT_TRUE(world_->run_until([&] { return done.load(); }, 60 * kSecond));
}

TEST_P(WorldTest, CurrentIsTheActorThatRunsWithItsPlace) {
  std::atomic<bool> done{false};
  EXPECT_EQ(Actor::current(), nullptr);
  world_->spawn("who",
                [&] {
                  EXPECT_EQ(Actor::current()->name(), "who");
                  EXPECT_EQ(Actor::current()->place().domain, 5);
                  EXPECT_EQ(Actor::current()->place().vcpu, 2u);
                  EXPECT_EQ(&Actor::current()->world(), world_.get());
                  done = true;
                },
                {.domain = 5, .vcpu = 2});
  EXPECT_TRUE(world_->run_until([&] { return done.load(); }, 60 * kSecond));
  EXPECT_EQ(Actor::current(), nullptr);
}

TEST_P(WorldTest, StopUnwindsASleepingActor) {
  std::atomic<bool> unwound{false};
  std::atomic<bool> sleeping{false};
  struct Witness {
    std::atomic<bool>& unwound;
    ~Witness() { unwound = true; }
  };
  Actor& actor = world_->spawn("forever", [&] {
    const Witness witness{unwound};
    sleeping = true;
    for (;;) Actor::current()->sleep();
  });
  EXPECT_TRUE(world_->run_until([&] { return sleeping.load(); }, 60 * kSecond));
  world_->stop(actor);
  EXPECT_TRUE(unwound.load());
  EXPECT_TRUE(actor.finished());
}

TEST_P(WorldTest, AnActorStopsAnother) {
  std::atomic<bool> done{false};
  Actor& victim = world_->spawn("victim", [] {
    for (;;) Actor::current()->sleep();
  });
  world_->spawn("killer", [&] {
    world_->stop(victim);
    done = true;
  });
  EXPECT_TRUE(world_->run_until([&] { return done.load(); }, 60 * kSecond));
  EXPECT_TRUE(victim.finished());
}

TEST_P(WorldTest, AWorldEndsWithItsActorsStillAsleep) {
  std::atomic<int> unwound{0};
  struct Witness {
    std::atomic<int>& unwound;
    ~Witness() {
      // Waits in destructors while the actor is stopped return instead of throwing.
      Actor::current()->sleep();
      ++unwound;
    }
  };
  std::atomic<int> asleep{0};
  for (int i = 0; i < 3; ++i) {
    world_->spawn("forever", [&] {
      const Witness witness{unwound};
      ++asleep;
      for (;;) Actor::current()->sleep();
    });
  }
  EXPECT_TRUE(world_->run_until([&] { return asleep.load() == 3; }, 60 * kSecond));
  world_.reset();
  EXPECT_EQ(unwound.load(), 3);
}

TEST_P(WorldTest, NothingLeftToRunEndsTheRun) {
  world_->spawn("short", [] {});
  EXPECT_FALSE(world_->run_until([] { return false; }, kForever));
}

INSTANTIATE_TEST_SUITE_P(Kinds, WorldTest,
                         testing::Values(Kind{"Deterministic", &World::deterministic},
                                         Kind{"Threaded", &World::threaded}),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(RandomTest, BelowStaysBelow) {
  Random random(5);
  for (int i = 0; i < 10000; ++i) EXPECT_LT(random.below(7), 7u);
  EXPECT_EQ(random.below(0), 0u);
  EXPECT_FALSE(random.chance(0.0));
  EXPECT_TRUE(random.chance(1.0));
}

TEST(TraceTest, DigestSeesKindNumbersAndBytes) {
  const auto digest = [](Trace::Kind kind, uint64_t number, std::byte byte) {
    Trace trace;
    trace.enable(true);
    trace.record(kind, "step", {number}, std::span(&byte, 1));
    return trace.digest();
  };
  const std::string one = digest(Trace::Kind::kGrant, 1, std::byte{1});
  EXPECT_EQ(one, digest(Trace::Kind::kGrant, 1, std::byte{1}));
  EXPECT_NE(one, digest(Trace::Kind::kEvent, 1, std::byte{1}));
  EXPECT_NE(one, digest(Trace::Kind::kGrant, 2, std::byte{1}));
  EXPECT_NE(one, digest(Trace::Kind::kGrant, 1, std::byte{2}));
  EXPECT_EQ(one.size(), 32u);
}

TEST(TraceTest, KeepsTheLastSteps) {
  Trace trace;
  trace.record(Trace::Kind::kWorld, "while off", {});
  trace.enable(true);
  for (uint64_t i = 0; i < 300; ++i) trace.record(Trace::Kind::kStore, "step", {i});
  const auto lines = trace.recent();
  ASSERT_EQ(lines.size(), 256u);
  EXPECT_EQ(lines.front(), "44 store step 44");
  EXPECT_EQ(lines.back(), "299 store step 299");
}

}  // namespace
}  // namespace ringside::sim
