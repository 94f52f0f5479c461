#include <gtest/gtest.h>

#include "conformance/ring/ring_model.hpp"

namespace ringside::conformance {
namespace {

/// FrontRing and BackRing, the very code, over a memory that reorders stores.
class RingModelTest : public testing::TestWithParam<RingModel::Plan> {};

// RING-004, RING-006, RING-007: no stale slot and no lost wake-up, either way.
TEST_P(RingModelTest, RING_004_RING_007_HoldInEveryExecution) {
  const auto outcome = RingModel::check(Choices::exhaustive(), {}, GetParam());

  EXPECT_FALSE(outcome.violation) << *outcome.violation;
  EXPECT_GT(outcome.executions, 1000U);
  RecordProperty("executions", std::to_string(outcome.executions));
}

INSTANTIATE_TEST_SUITE_P(Ring, RingModelTest,
                         testing::Values(RingModel::Plan{.preemptions = 3},
                                         RingModel::Plan{.start = 0xfffffffe},
                                         RingModel::Plan{.batch = 2}));

TEST(RingModelDrawnTest, RING_004_RING_007_HoldWithManyPreemptions) {
  const RingModel::Plan plan{
      .start = 0xffffffff, .requests = 8, .preemptions = ~0U, .executions = 5'000};
  const auto outcome = RingModel::check(Choices::drawn(1), {}, plan);

  EXPECT_FALSE(outcome.violation) << *outcome.violation;
}

}  // namespace
}  // namespace ringside::conformance
