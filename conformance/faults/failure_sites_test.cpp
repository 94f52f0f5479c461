#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <thread>

#include "conformance/campaigns/site_campaign.hpp"

namespace ringside::conformance {
namespace {

constexpr unsigned kTimeoutSeconds = 100;

/// One of several tests that share the sites of a kind among them.
struct Share {
  SiteKind kind;
  uint64_t part = 0;
  uint64_t parts = 1;
};

class FailureSitesTest : public testing::TestWithParam<Share> {};

TEST_P(FailureSitesTest, EveryCallSiteMayFailOnce) {
  const Share& share = GetParam();
  uint64_t next = 0;
  const auto chosen = [&](const FailureSite& site) {
    return site.kind == share.kind && next++ % share.parts == share.part;
  };
  const SiteReport report = fail_each_site(
      options().seed, chosen, std::max(1u, std::thread::hardware_concurrency()), kTimeoutSeconds);
  ASSERT_FALSE(report.sites.empty());
  EXPECT_EQ(report.campaign.records.size(), report.sites.size());
  for (const WorldRecord& record : report.campaign.records) {
    EXPECT_EQ(record.outcome, Outcome::kSuccess) << report.explain(record);
  }
}

std::string name_of(const testing::TestParamInfo<Share>& tested) {
  std::string name(to_string(tested.param.kind));
  name[0] = static_cast<char>(std::toupper(name[0]));
  return name + std::to_string(tested.param.part);
}

INSTANTIATE_TEST_SUITE_P(Kinds, FailureSitesTest,
                         testing::Values(Share{SiteKind::kAllocation, 0, 4},
                                         Share{SiteKind::kGrant}, Share{SiteKind::kHypercall},
                                         Share{SiteKind::kStore}),
                         name_of);
// Each is a process of its own; under a sanitizer a quarter has to do.
#if !defined(RINGSIDE_SANITIZED)
INSTANTIATE_TEST_SUITE_P(More, FailureSitesTest,
                         testing::Values(Share{SiteKind::kAllocation, 1, 4},
                                         Share{SiteKind::kAllocation, 2, 4},
                                         Share{SiteKind::kAllocation, 3, 4}),
                         name_of);
#endif

}  // namespace
}  // namespace ringside::conformance
