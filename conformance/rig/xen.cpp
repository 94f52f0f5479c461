#include "conformance/rig/xen.hpp"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "conformance/report/outcome.hpp"
#include "conformance/rig/options.hpp"

namespace ringside::conformance {

void require_chosen_xen() {
  const std::string& chosen = options().xen;
  if (chosen.empty() || sim::find_xen_profile(chosen)) return;
  std::vector<std::string_view> names;
  for (const sim::XenProfile& profile : sim::xen_profiles()) names.push_back(profile.name);
  throw Problem(
      fmt::format("there is no Xen \"{}\"; choose one of: {}", chosen, fmt::join(names, ", ")));
}

sim::MachineConfig machine_of_chosen_xen() {
  const auto chosen = sim::find_xen_profile(options().xen);
  return sim::on_xen(chosen.value_or(sim::xen_profiles().back()));
}

}  // namespace ringside::conformance
