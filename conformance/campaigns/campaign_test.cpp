#include "conformance/campaigns/campaign.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace ringside::conformance {
namespace {

using sim::Fault;
using sim::FaultKind;
using sim::FaultPlan;

FaultPlan plan_of_size(size_t size) {
  FaultPlan plan;
  for (size_t i = 0; i < size; ++i) plan.push_back({FaultKind::kEventLost, i, 1, 0, 0});
  return plan;
}

bool has(const FaultPlan& plan, sim::Nanoseconds at) {
  return std::any_of(plan.begin(), plan.end(), [at](const Fault& one) { return one.at == at; });
}

TEST(ShrinkTest, KeepsOnlyWhatTheFailureNeeds) {
  unsigned tries = 0;
  const FaultPlan smallest = shrink(plan_of_size(16), [&](const FaultPlan& plan) {
    ++tries;
    return has(plan, 3) && has(plan, 12);
  });
  ASSERT_EQ(smallest.size(), 2u);
  EXPECT_TRUE(has(smallest, 3) && has(smallest, 12));
  EXPECT_LT(tries, 100u);
}

TEST(ShrinkTest, AFailureWithoutFaultsNeedsNone) {
  EXPECT_TRUE(shrink(plan_of_size(5), [](const FaultPlan&) { return true; }).empty());
}

TEST(ShrinkTest, OneFaultCanBeAllThereIs) {
  EXPECT_EQ(shrink(plan_of_size(1), [](const FaultPlan& plan) { return !plan.empty(); }).size(),
            1u);
}

/// World 3 finds something, 5 crashes, 7 hangs, 9 is a fault of the bench.
WorldResult misbehave(uint64_t seed, const FaultPlan&) {
  WorldResult result;
  if (seed == 3) result.findings.push_back("a frame is missing");
  if (seed == 5) std::abort();
  while (seed == 7) sleep(1);
  if (seed == 9) throw RigError("no memory");
  result.digest = std::to_string(seed);
  return result;
}

TEST(CampaignTest, AWorldThatEndsBadlyCostsItsOwnResultOnly) {
  CampaignOptions options;
  options.last = 40;
  options.plan = FaultPlan{};
  options.run = misbehave;
  options.jobs = 3;
  options.timeout_seconds = 2;
  const CampaignReport report = run_campaign(options);
  ASSERT_EQ(report.records.size(), 40u);
  for (size_t i = 0; i < report.records.size(); ++i) {
    const WorldRecord& record = report.records[i];
    ASSERT_EQ(record.seed, i + 1);
    const Outcome expected = record.seed == 3                       ? Outcome::kFailure
                             : record.seed == 5 || record.seed == 7 ? Outcome::kCrash
                             : record.seed == 9                     ? Outcome::kError
                                                                    : Outcome::kSuccess;
    EXPECT_EQ(record.outcome, expected) << record.seed << record.message;
  }
  EXPECT_EQ(report.records[6].message, "hung: no end after 2 s");
  EXPECT_EQ(report.outcome(), Outcome::kCrash);
}

TEST(CampaignTest, AWorldIsItsSeed) {
  const auto kinds = sim::all_fault_kinds();
  for (const uint64_t seed : {2, 5}) {
    const FaultPlan plan = plan_of(seed, kinds);
    const WorldResult once = run_world(seed, plan);
    const WorldResult again = run_world(seed, plan);
    EXPECT_EQ(once.findings, std::vector<std::string>{});
    EXPECT_EQ(once.digest, again.digest);
    EXPECT_EQ(once.steps, again.steps);
  }
}

}  // namespace
}  // namespace ringside::conformance
