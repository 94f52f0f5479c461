#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "backends/xenbus/handles.hpp"
#include "protocols/platform/xen.hpp"

namespace ringside::backends {

/// Grants of one queue that stay mapped as long as the guest likes. Source: xen/io/netif.h,
/// "Static Grants". [NETIF-CTL-037]
class StaticGrants {
 public:
  StaticGrants(Handles& handles, uint16_t domain, uint32_t most)
      : handles_(&handles), domain_(domain), most_(most) {}
  ~StaticGrants() { clear(); }
  StaticGrants(StaticGrants&& other) noexcept
      : handles_(other.handles_),
        domain_(other.domain_),
        most_(other.most_),
        pages_(std::exchange(other.pages_, {})),
        by_ref_(std::exchange(other.by_ref_, {})) {}
  StaticGrants& operator=(StaticGrants&&) = delete;

  /// Maps all of them, or none: then false.
  bool add(std::span<const xen_netif_gref> list);
  /// Unmaps those that are mapped, gives each its status, and returns their number.
  uint32_t remove(std::span<xen_netif_gref> list);

  /// Where the page is, or nullptr when it is not mapped.
  const std::byte* find(uint32_t ref) const {
    return ref < by_ref_.size() ? by_ref_[ref] : nullptr;
  }

 private:
  void unmap(void* page) { xengnttab_unmap(handles_->grants, page, 1); }
  void clear();
  void index();

  Handles* handles_;
  uint16_t domain_;
  uint32_t most_;
  std::map<uint32_t, void*> pages_;
  std::vector<const std::byte*>
      by_ref_;  ///< no longer than the guest's grant table: all are mapped
};

}  // namespace ringside::backends
