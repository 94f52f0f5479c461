#pragma once

#include <cstddef>
#include <cstdint>

#include "sim/machine/machine.hpp"

namespace ringside::sim {

/// One side of a grant copy: a granted page, or memory of the domain that copies.
struct CopySide {
  std::byte* local = nullptr;  ///< the first byte; null when the side is a grant
  DomainId domain = 0;         ///< who granted it
  GrantRef ref = 0;
  uint32_t offset = 0;  ///< into the granted page
};

/// Copies `length` bytes on behalf of `user`; a GNTST_* code. Source: grant_table.h,
/// GNTTABOP_copy.
int16_t grant_copy(Machine& machine, Domain& user, const CopySide& source,
                   const CopySide& destination, uint32_t length);

}  // namespace ringside::sim
