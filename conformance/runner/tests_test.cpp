#include "conformance/runner/tests.hpp"

#include <gtest/gtest.h>

namespace ringside::conformance {
namespace {

const TestCase kTest{"FrontRingTest", "RING_008_Overflow", {"RING-008"}};

TEST(FilterTest, NamesRulesAndTests) {
  EXPECT_TRUE(matches(kTest, "*"));
  EXPECT_TRUE(matches(kTest, "RING-*"));
  EXPECT_TRUE(matches(kTest, "RING_*"));
  EXPECT_TRUE(matches(kTest, "FrontRingTest.*"));
  EXPECT_TRUE(matches(kTest, "BLKIF-*:RING-00?"));
  EXPECT_FALSE(matches(kTest, "RING"));
  EXPECT_FALSE(matches(kTest, ""));
}

TEST(FilterTest, PicksTheRulesOfTheTable) {
  EXPECT_TRUE(matches_rule("RING-008", "RING-*"));
  EXPECT_TRUE(matches_rule("RING-008", "RING_*"));
  EXPECT_FALSE(matches_rule("RING-008", "NETIF-*"));
}

}  // namespace
}  // namespace ringside::conformance
