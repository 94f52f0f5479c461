#pragma once

#include <xen/errno.h>

#include <cstdint>

namespace ringside::sim {

/// What a hypercall returns for an error.
constexpr int64_t error(xen_errno number) { return -static_cast<int64_t>(number); }

}  // namespace ringside::sim
