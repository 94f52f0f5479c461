#pragma once

#include <optional>
#include <string>

#include "sim/machine/profiles.hpp"

namespace ringside::conformance {

/// Throws Problem, naming the known ones, when --xen names a release that is not among them.
void require_chosen_xen();

/// Why a test that needs the feature does not apply to the chosen Xen; nothing when it does.
std::optional<std::string> chosen_xen_lacks(sim::XenFeature feature);

/// A machine of the release that --xen chose; the newest without it.
sim::MachineConfig machine_of_chosen_xen();

}  // namespace ringside::conformance
