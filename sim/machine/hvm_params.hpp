#pragma once

#include <cstdint>

#include "sim/machine/hypercalls.hpp"

namespace ringside::sim {

/// HVMOP_set_param and HVMOP_get_param once the domain is known, with the permissions and checks
/// of the caller's Xen. Precondition: index < hvm_params_of() of that.
int64_t set_hvm_param(const Caller& caller, Domain& domain, uint32_t index, uint64_t value);
int64_t get_hvm_param(const Caller& caller, const Domain& domain, uint32_t index, uint64_t& value);

}  // namespace ringside::sim
