#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocols/platform/owned.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"
#include "protocols/xenbus/interfaces/tracked.hpp"

namespace ringside::xenbus {

/// Pages that a peer granted, where this domain sees them. What is in them is the peer's to
/// change at any time.
class ForeignMap : public Tracked {
 public:
  virtual uint32_t count() const = 0;
  /// Where page `index` is. Precondition: index < count().
  virtual std::byte* page(uint32_t index) const = 0;
  /// Ends the map. A page that Xen does not take back keeps its frame number out of use.
  virtual void destroy() = 0;

 protected:
  ~ForeignMap() = default;
};

/// XENBUS GNTTAB, the other direction: reaching what peers granted to this domain.
class ForeignGrants {
 public:
  /// Maps 1 to kMaxForeignPages grants of `peer`, all of them or none. kAccessDenied or kIoError
  /// when Xen refuses one, kAgain when it could not do so now, kNoResources when it keeps track
  /// of no more maps.
  virtual Result<Owned<ForeignMap>> map(DomainId peer, std::span<const GrantRef> refs,
                                        Access access) = 0;

 protected:
  ~ForeignGrants() = default;
};

inline constexpr uint32_t kMaxForeignPages = 1024;

}  // namespace ringside::xenbus
