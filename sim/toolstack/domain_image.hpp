#pragma once

#include "sim/machine/domain.hpp"

namespace ringside::sim {

/// What Toolstack::save() leaves of a domain: its memory, and where its vCPUs and HVM parameters
/// are. An image that is never restored frees the memory.
class DomainImage {
 public:
  explicit DomainImage(Domain& domain) : domain_(&domain), memory_(domain.save_memory()) {}

 private:
  friend class Toolstack;

  Domain* domain_;  // dead; the machine keeps it
  SavedMemory memory_;
};

}  // namespace ringside::sim
