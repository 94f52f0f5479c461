#include "sim/faults/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace ringside::sim {
namespace {

TEST(FaultPlanTest, IsParsedBackAsItIsPrinted) {
  Random random(1);
  for (int i = 0; i < 200; ++i) {
    const FaultPlan plan = draw_plan(random, all_fault_kinds(), 10, 1'000'000);
    const auto parsed = parse_plan(to_string(plan));
    ASSERT_TRUE(parsed.has_value()) << to_string(plan);
    EXPECT_EQ(*parsed, plan);
  }
  EXPECT_EQ(to_string(FaultPlan{}), "none");
  EXPECT_EQ(to_string(Fault{FaultKind::kEventDelay, 1200, 30000, 2, 500}),
            "event-delay@1200+30000#2x500");
}

TEST(FaultPlanTest, NothingElseIsAPlan) {
  for (const char* text :
       {"", "event-delay", "lightning@1+2#3x4", "event-delay@1+2#3", "event-delay@1+2#3x4,",
        "event-delay@1+2#3x4 ", "event-delay@+2#3x4", "event-delay@-1+2#3x4",
        "event-delay@99999999999999999999+2#3x4", "none,event-delay@1+2#3x4"}) {
    EXPECT_FALSE(parse_plan(text).has_value()) << text;
  }
}

TEST(FaultPlanTest, IsDrawnFromTheKindsAndTheTimeGiven) {
  Random random(7);
  const FaultKind kinds[] = {FaultKind::kAllocation, FaultKind::kBackendCrash};
  size_t most = 0;
  for (int i = 0; i < 200; ++i) {
    const FaultPlan plan = draw_plan(random, kinds, 4, 1000);
    most = std::max(most, plan.size());
    for (const Fault& fault : plan) {
      EXPECT_LT(fault.at, 1000u);
      EXPECT_EQ(fault.kind == FaultKind::kAllocation, fault.amount > 0);
      EXPECT_EQ(fault.kind == FaultKind::kBackendCrash, fault.span > 0);
    }
    EXPECT_TRUE(std::is_sorted(plan.begin(), plan.end(),
                               [](const Fault& a, const Fault& b) { return a.at < b.at; }));
  }
  EXPECT_EQ(most, 4u);
}

TEST(FaultPlanTest, EveryKindHasItsName) {
  for (const FaultKind kind : all_fault_kinds()) EXPECT_EQ(fault_kind(to_string(kind)), kind);
  EXPECT_EQ(fault_kind("lightning"), std::nullopt);
}

}  // namespace
}  // namespace ringside::sim
