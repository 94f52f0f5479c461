#pragma once

#include "sim/machine/profiles.hpp"

namespace ringside::conformance {

/// Throws Problem, naming the known ones, when --xen names a release that is not among them.
void require_chosen_xen();

/// A machine of the release that --xen chose; the newest without it.
sim::MachineConfig machine_of_chosen_xen();

}  // namespace ringside::conformance
