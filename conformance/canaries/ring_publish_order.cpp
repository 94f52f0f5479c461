// The ring over a memory that can show an index before the slots which it covers.
// Caught by: RING-004: slot [0-9]+ was read before it was written

#include <gtest/gtest.h>

#include "conformance/ring/ring_model.hpp"

namespace ringside::conformance {
namespace {

TEST(RingPublishOrderCanary, ReadsASlotTooEarly) {
  const auto outcome = RingModel::check(Choices::exhaustive(), {.release_store = true}, {});
  EXPECT_FALSE(outcome.violation) << *outcome.violation;
}

}  // namespace
}  // namespace ringside::conformance
