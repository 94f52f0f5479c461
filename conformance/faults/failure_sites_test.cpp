#include "conformance/worlds/failure_sites.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "conformance/worlds/campaign.hpp"

namespace ringside::conformance {
namespace {

/// XENBUS, a vif on a cable and a disk come up, carry traffic, close, come back and close.
Scenario small_scenario() {
  Scenario scenario;
  scenario.vcpus = {1, 1};
  scenario.cables = {{0, 1}};
  scenario.disks = {{0, 1024}};
  scenario.net = *backends::find_netback_profile("linux");
  scenario.blk = *backends::find_blkback_profile("linux");
  scenario.ring_page_order = 1;
  scenario.frames = 3;
  scenario.requests = 6;
  scenario.rounds = 2;
  return scenario;
}

WorldResult run(FailureSites& sites) {
  return run_scenario(small_scenario(), host_config(options().seed), {}, {.interposer = &sites});
}

class FailureSitesTest : public testing::TestWithParam<SiteKind> {
 protected:
  static std::vector<FailureSite> all_sites() {
    FailureSites sites;
    const WorldResult result = run(sites);
    for (const std::string& finding : result.findings) ADD_FAILURE() << finding;
    std::vector<FailureSite> kept;
    std::copy_if(sites.sites().begin(), sites.sites().end(), std::back_inserter(kept),
                 [](const FailureSite& site) { return site.kind == GetParam(); });
    return kept;
  }
};

// Each place fails once, each in a world and a process of its own: no crash, hang or leak, and
// everything is carried out in the end.
TEST_P(FailureSitesTest, EveryCallSiteMayFailOnce) {
  const std::vector<FailureSite> sites = all_sites();
  ASSERT_FALSE(sites.empty());
  CampaignOptions campaign;
  campaign.first = 0;
  campaign.last = sites.size() - 1;
  campaign.plan = sim::FaultPlan{};
  campaign.jobs = std::max(1u, std::thread::hardware_concurrency());
  campaign.run = [&](uint64_t index, const sim::FaultPlan&) {
    FailureSites failing(sites[index].id);
    WorldResult result = run(failing);
    if (!failing.failed()) result.findings.push_back("the call never came");
    return result;
  };
  const CampaignReport report = run_campaign(campaign);
  std::printf("%zu %s call sites failed once each\n", sites.size(),
              std::string(to_string(GetParam())).c_str());
  for (const WorldRecord& record : report.records) {
    if (record.outcome == Outcome::kSuccess) continue;
    ADD_FAILURE() << to_string(record.outcome) << " site " << record.seed << ": " << record.message
                  << ' ' << (record.result.findings.empty() ? "" : record.result.findings.front())
                  << "\n  " << sites[record.seed].to_string() << '\n'
                  << record.output;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, FailureSitesTest,
                         testing::Values(SiteKind::kAllocation, SiteKind::kGrant,
                                         SiteKind::kHypercall, SiteKind::kStore),
                         [](const auto& tested) {
                           std::string name(to_string(tested.param));
                           name[0] = static_cast<char>(std::toupper(name[0]));
                           return name;
                         });

}  // namespace
}  // namespace ringside::conformance
