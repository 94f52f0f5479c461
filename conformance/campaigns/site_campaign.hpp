#pragma once

#include <functional>
#include <vector>

#include "conformance/campaigns/campaign.hpp"
#include "conformance/worlds/failure_sites.hpp"

namespace ringside::conformance {

/// What failing call sites one by one came to; record i of the campaign is about site i.
struct SiteReport {
  std::vector<FailureSite> sites;
  CampaignReport campaign;

  size_t count(SiteKind kind) const;
  /// Why the world of a site did not succeed, and the stack.
  std::string explain(const WorldRecord& record) const;
};

/// Runs one small world again and again: XENBUS, a vif on a cable and a disk come up, carry
/// traffic, close, come back and close. In each run one more of the `chosen` call sites of the
/// first guest fails once. Everything must be carried out all the same. Throws Problem when
/// the world does not even succeed undisturbed.
SiteReport fail_each_site(uint64_t seed, const std::function<bool(const FailureSite&)>& chosen,
                          unsigned jobs, unsigned timeout_seconds);

}  // namespace ringside::conformance
