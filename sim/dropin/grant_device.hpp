#pragma once

#include <set>
#include <span>
#include <vector>

#include "sim/dropin/protocol.hpp"
#include "sim/machine/machine.hpp"

namespace ringside::sim::dropin {

/// What the grant device of dom0's kernel is to one handle: its maps, and what it holds for a copy
/// under way. The client does the mapping and copying itself, in the memory file.
///
/// Driven by one thread.
class GrantDevice {
 public:
  explicit GrantDevice(Domain& domain) : domain_(domain) {}
  ~GrantDevice();
  GrantDevice(const GrantDevice&) = delete;
  GrantDevice& operator=(const GrantDevice&) = delete;

  /// Maps all, or none with -EINVAL. Precondition: as many pages as grants, and so below.
  int32_t map(std::span<const Grant> grants, std::span<Page> pages);
  /// Ends the maps; -EINVAL, and none ends, when one is not the handle's.
  int32_t unmap(std::span<const uint32_t> handles);
  /// Holds what can be held until let_go(); the pages say what could not.
  void hold(std::span<const Grant> grants, std::span<Page> pages);
  void let_go();

 private:
  struct Held {
    Domain* granter;
    GrantRef ref;
    bool read_only;
  };

  Domain& domain_;
  std::set<uint32_t> maps_;
  std::vector<Held> held_;
};

}  // namespace ringside::sim::dropin
