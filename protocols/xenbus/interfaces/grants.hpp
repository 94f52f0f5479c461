#pragma once

#include <cstdint>

#include "protocols/platform/owned.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/interfaces/tracked.hpp"

namespace ringside::xenbus {

using DomainId = uint16_t;  ///< domid_t of xen.h
using GrantRef = uint32_t;  ///< grant_ref_t of grant_table.h

enum class Access : uint8_t { kReadWrite, kReadOnly };  ///< what the peer may do

/// One client's own stock of grant references.
///
/// A cache belongs to one queue and takes no lock: its calls must not overlap. Source:
/// grant_table.h, "granting and ending foreign access".
class GrantCache : public Tracked {
 public:
  /// Lets `peer` map or copy `frame`. kNoResources when the stock's limit is reached.
  virtual Result<GrantRef> permit(DomainId peer, platform::Frame frame, Access access) = 0;

  /// Ends the peer's access and takes the reference back into the stock. kBusy while the
  /// peer still maps it: the reference stays live and the page must not be reused; call
  /// again later or park() both. [GRANT-002]
  virtual Status revoke(GrantRef ref) = 0;

  /// Gives a grant that revoke() answered with kBusy, and its page, to the bus, which
  /// retries and frees both once the peer lets go. The stock gets another reference.
  virtual void park(GrantRef ref, platform::Page page) = 0;

  /// Takes all references back. Grants not yet revoked are reported by the cache's name.
  virtual void destroy() = 0;

 protected:
  ~GrantCache() = default;
};

/// XENBUS GNTTAB: who may create caches.
class Grants {
 public:
  /// A cache that holds `reserve` references at once and never more than `limit`.
  virtual Result<Owned<GrantCache>> create_cache(const char* name, uint32_t reserve,
                                                 uint32_t limit) = 0;

 protected:
  ~Grants() = default;
};

}  // namespace ringside::xenbus
