#pragma once

#include <cstdint>
#include <span>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/interfaces/foreign_grants.hpp"
#include "protocols/xeniface/caller.hpp"
#include "protocols/xeniface/grant_region.hpp"

namespace ringside::xeniface {

/// Pages of a peer's, which the caller sees. Its destruction ends both views of them.
class MapRegion : public PendingRegion {
 public:
  /// `references` of 1 to kMaxForeignPages pages. What xenbus::ForeignGrants::map() and
  /// Caller::map() answer.
  Status start(platform::Platform& platform, xenbus::ForeignGrants& foreign, Caller& caller,
               xenbus::DomainId peer, std::span<const xenbus::GrantRef> references,
               xenbus::Access access);

  UserAddress address() const { return mapping_->address(); }
  /// Whether any of the `pages` pages from `address` on is part of it.
  bool covers(UserAddress address, uint32_t pages) const;
  /// Sets a byte of it to 0. Precondition: the map is writable.
  void clear_byte(uint32_t offset);

  platform::Box<MapRegion> next;

 private:
  Owned<xenbus::ForeignMap> map_;
  Owned<UserMapping> mapping_;  ///< behind the map, to be gone before it
};

}  // namespace ringside::xeniface
