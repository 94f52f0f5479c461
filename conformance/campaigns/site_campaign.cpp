#include "conformance/campaigns/site_campaign.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace ringside::conformance {
namespace {

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

WorldResult run(uint64_t seed, FailureSites& sites) {
  return run_scenario(small_scenario(), host_config(seed), {}, {.interposer = &sites});
}

}  // namespace

size_t SiteReport::count(SiteKind kind) const {
  return static_cast<size_t>(std::count_if(sites.begin(), sites.end(),
                                           [kind](const auto& site) { return site.kind == kind; }));
}

std::string SiteReport::explain(const WorldRecord& record) const {
  std::string text = fmt::format("{} when this failed: {}\n  {}", to_string(record.outcome),
                                 sites[record.seed].to_string(), record.message);
  for (const std::string& finding : record.result.findings) text += "\n  " + finding;
  return record.output.empty() ? text : text + "\n" + record.output;
}

SiteReport fail_each_site(uint64_t seed, const std::function<bool(const FailureSite&)>& chosen,
                          unsigned jobs, unsigned timeout_seconds) {
  FailureSites all;
  const WorldResult undisturbed = run(seed, all);
  if (!undisturbed.findings.empty()) throw Problem(undisturbed.findings.front());
  SiteReport report;
  std::copy_if(all.sites().begin(), all.sites().end(), std::back_inserter(report.sites), chosen);
  if (report.sites.empty()) return report;
  CampaignOptions options;
  options.first = 0;
  options.last = report.sites.size() - 1;
  options.plan = sim::FaultPlan{};
  options.jobs = jobs;
  options.timeout_seconds = timeout_seconds;
  options.run = [&](uint64_t index, const sim::FaultPlan&) {
    FailureSites failing(report.sites[index].id);
    WorldResult result = run(seed, failing);
    if (!failing.failed()) result.findings.push_back("the call never came");
    return result;
  };
  report.campaign = run_campaign(options);
  return report;
}

}  // namespace ringside::conformance
