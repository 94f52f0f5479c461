// The ring over a memory whose full barrier waits for nothing: a store may still be on its
// way when the CPU looks whether the other one sleeps.
// Caught by: RING-007: lost wake-up

#include <gtest/gtest.h>

#include "conformance/ring/ring_model.hpp"

namespace ringside::conformance {
namespace {

TEST(RingBarrierCanary, LosesAWakeUp) {
  const auto outcome = RingModel::check(Choices::exhaustive(), {.full_barrier = true}, {});
  EXPECT_FALSE(outcome.violation) << *outcome.violation;
}

}  // namespace
}  // namespace ringside::conformance
