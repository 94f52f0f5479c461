#include "conformance/rig/xen.hpp"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "conformance/report/outcome.hpp"
#include "conformance/rig/options.hpp"

namespace ringside::conformance {

namespace {

sim::XenProfile chosen_xen() {
  return sim::find_xen_profile(options().xen).value_or(sim::xen_profiles().back());
}

}  // namespace

void require_chosen_xen() {
  const std::string& chosen = options().xen;
  if (chosen.empty() || sim::find_xen_profile(chosen)) return;
  std::vector<std::string_view> names;
  for (const sim::XenProfile& profile : sim::xen_profiles()) names.push_back(profile.name);
  throw Problem(
      fmt::format("there is no Xen \"{}\"; choose one of: {}", chosen, fmt::join(names, ", ")));
}

std::optional<std::string> chosen_xen_lacks(sim::XenFeature feature) {
  const sim::XenProfile xen = chosen_xen();
  if (sim::has(xen.version, feature)) return std::nullopt;
  for (const sim::XenProfile& first : sim::xen_profiles()) {
    if (!sim::has(first.version, feature)) continue;
    return fmt::format("needs Xen {} or later, this is {}", first.name, xen.name);
  }
  return fmt::format("needs a later Xen than {}", xen.name);
}

sim::MachineConfig machine_of_chosen_xen() { return sim::on_xen(chosen_xen()); }

}  // namespace ringside::conformance
