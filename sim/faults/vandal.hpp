#pragma once

#include "sim/machine/machine.hpp"

namespace ringside::sim {

/// A peer that writes what it likes where it was permitted to write: through a grant map of
/// its own, so only what a real one could reach.
class Vandal {
 public:
  /// Works on what `granter` has granted to domain 0.
  Vandal(Machine& machine, DomainId granter);

  /// Writes a random word into the page behind `ref`, mostly where a ring has its indices.
  /// False when that grant can't be mapped for writing (any more).
  bool scribble(GrantRef ref);
  /// Changes a word and puts back what was there at the next call, so that who reads it twice
  /// sees two values. False as for scribble().
  bool tear(GrantRef ref);

 private:
  Machine* machine_;
  DomainId granter_;
  Random random_;
  GrantRef torn_ref_ = 0;
  uint32_t torn_offset_ = 0;
  uint32_t torn_value_ = 0;
  bool torn_ = false;
};

}  // namespace ringside::sim
