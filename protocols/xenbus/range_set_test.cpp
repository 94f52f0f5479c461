#include "protocols/xenbus/range_set.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <set>

#include "protocols/xenbus/host_platform_test.hpp"

namespace ringside::xenbus {
namespace {

class RangeSetTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(set_.start(), Status::kOk); }

  HostPlatform platform_;
  RangeSet set_{platform_};
};

TEST_F(RangeSetTest, NeighboursMerge) {
  EXPECT_EQ(set_.put(10, 5), Status::kOk);
  EXPECT_EQ(set_.put(20, 5), Status::kOk);
  EXPECT_EQ(set_.ranges(), 2u);
  EXPECT_EQ(set_.put(15, 5), Status::kOk);
  EXPECT_EQ(set_.ranges(), 1u);
  EXPECT_EQ(set_.pop(15).value_or(0), 10u);
  EXPECT_EQ(set_.size(), 0u);
}

TEST_F(RangeSetTest, OverlapsAndNonsenseAreRefused) {
  EXPECT_EQ(set_.put(10, 5), Status::kOk);
  EXPECT_EQ(set_.put(14, 1), Status::kInvalidArgument);
  EXPECT_EQ(set_.put(5, 6), Status::kInvalidArgument);
  EXPECT_EQ(set_.put(5, 20), Status::kInvalidArgument);
  EXPECT_EQ(set_.put(5, 0), Status::kInvalidArgument);
  EXPECT_EQ(set_.put(~uint64_t{0}, 2), Status::kInvalidArgument);
  EXPECT_EQ(set_.get(9, 2), Status::kNotFound);
  EXPECT_EQ(set_.get(14, 2), Status::kNotFound);
  EXPECT_EQ(set_.pop(6).status(), Status::kNoResources);
  EXPECT_EQ(set_.pop(0).status(), Status::kInvalidArgument);
  EXPECT_EQ(set_.size(), 5u);
}

TEST_F(RangeSetTest, TheHighestNumberIsOneLikeOthers) {
  const uint64_t last = ~uint64_t{0};
  EXPECT_EQ(set_.put(last, 1), Status::kOk);
  EXPECT_EQ(set_.put(0, 1), Status::kOk);
  EXPECT_EQ(set_.ranges(), 2u) << "the ends of the number line are no neighbours";
  EXPECT_EQ(set_.put(last - 3, 3), Status::kOk);
  EXPECT_EQ(set_.get(last, 1), Status::kOk);
  EXPECT_EQ(set_.pop(3).value_or(0), last - 3);
}

TEST_F(RangeSetTest, WithoutMemoryNothingChanges) {
  platform_.allocations_left = 0;
  EXPECT_EQ(set_.put(10, 5), Status::kNoMemory);
  platform_.allocations_left = 1;
  uint64_t first = 0;
  while (set_.put(first, 8) == Status::kOk) first += 10;
  EXPECT_GT(first, 0u);
  const uint64_t size = set_.size();
  EXPECT_EQ(set_.get(3, 2), Status::kNoMemory) << "it would leave two ranges";
  EXPECT_EQ(set_.size(), size);
  EXPECT_EQ(set_.get(0, 4), Status::kOk);
}

/// The ranges of a set of numbers that are next to each other.
size_t ranges_of(const std::set<uint64_t>& numbers) {
  size_t ranges = 0;
  for (const uint64_t number : numbers) {
    if (number == 0 || !numbers.contains(number - 1)) ++ranges;
  }
  return ranges;
}

bool all_in(const std::set<uint64_t>& numbers, uint64_t first, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    if (!numbers.contains(first + i)) return false;
  }
  return true;
}

/// A plain set of numbers beside the set of ranges, and the same done to both.
struct Pair {
  RangeSet& set;
  std::set<uint64_t> model{};

  void put(uint64_t first, uint64_t count) {
    bool free = true;
    for (uint64_t i = 0; i < count; ++i) free &= !model.contains(first + i);
    ASSERT_EQ(set.put(first, count), free ? Status::kOk : Status::kInvalidArgument);
    for (uint64_t i = 0; free && i < count; ++i) model.insert(first + i);
  }
  void get(uint64_t first, uint64_t count) {
    const bool there = all_in(model, first, count);
    ASSERT_EQ(set.get(first, count), there ? Status::kOk : Status::kNotFound);
    for (uint64_t i = 0; there && i < count; ++i) model.erase(first + i);
  }
  void pop(uint64_t count) {
    const auto popped = set.pop(count);
    uint64_t expected = 0;
    while (expected < 200 && !all_in(model, expected, count)) ++expected;
    ASSERT_EQ(popped.ok(), expected < 200);
    if (!popped) return;
    ASSERT_EQ(*popped, expected);
    for (uint64_t i = 0; i < count; ++i) model.erase(expected + i);
  }
};

TEST_F(RangeSetTest, AgreesWithASetOfNumbers) {
  std::mt19937_64 random(7);
  Pair pair{set_};
  for (int step = 0; step < 20'000; ++step) {
    const uint64_t first = random() % 190;
    const uint64_t count = 1 + random() % 10;
    switch (random() % 3) {
      case 0: pair.put(first, count); break;
      case 1: pair.get(first, count); break;
      default: pair.pop(count); break;
    }
    ASSERT_EQ(set_.size(), pair.model.size()) << "step " << step;
    ASSERT_EQ(set_.ranges(), ranges_of(pair.model)) << "step " << step;
  }
}

TEST_F(RangeSetTest, TheLowestAreTakenAcrossRanges) {
  EXPECT_EQ(set_.put(10, 2), Status::kOk);
  EXPECT_EQ(set_.put(20, 3), Status::kOk);
  std::array<uint64_t, 4> numbers{};
  EXPECT_EQ(set_.take(numbers), 4u);
  EXPECT_EQ(numbers, (std::array<uint64_t, 4>{10, 11, 20, 21}));
  EXPECT_EQ(set_.size(), 1u);
  EXPECT_EQ(set_.take(numbers), 1u);
  EXPECT_EQ(numbers[0], 22u);
  EXPECT_EQ(set_.take(numbers), 0u);
}

TEST_F(RangeSetTest, WhatWasReservedNeedsNoMemory) {
  constexpr uint64_t kRanges = 100;
  EXPECT_EQ(set_.reserve(kRanges), Status::kOk);
  platform_.allocations_left = 0;
  for (uint64_t i = 0; i < kRanges; ++i) EXPECT_EQ(set_.put(2 * i, 1), Status::kOk);
  EXPECT_EQ(set_.reserve(1000), Status::kNoMemory);
  EXPECT_EQ(set_.size(), kRanges);
}

}  // namespace
}  // namespace ringside::xenbus
