#pragma once

#include <cstdint>
#include <span>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/interfaces/services.hpp"
#include "protocols/xeniface/caller.hpp"

namespace ringside::xeniface {

/// What the peer is told when a region of shared pages ends.
struct Notification {
  bool byte = false;
  bool port = false;
  uint32_t offset = 0;  ///< of the byte that becomes 0, below the region's size
  uint32_t local_port = 0;
};

/// What every region that a request stays pending for has in common. The handle's lock guards
/// `claimed`, `abandoned` and `next`; the rest belongs to whoever has claimed the region.
struct PendingRegion {
  PendingRequest* request = nullptr;
  bool has_id = false;
  uint32_t id = 0;  ///< the caller's own number for it, in requests of version 1
  Notification notification;
  bool notified = false;
  bool claimed = false;    ///< somebody is about to end it
  bool abandoned = false;  ///< and is to finish it even if the peer does not let go
};

/// Pages of this domain that a peer may map, and the caller uses.
///
/// Its grants end one by one: what the peer still maps stays granted and out of reuse.
class GrantRegion : public PendingRegion {
 public:
  struct Config {
    xenbus::DomainId peer;
    UserAddress address;  ///< 0: the driver provides the pages
    uint32_t pages;       ///< 1..kMaxPages
    xenbus::Access access;
    Notification notification;
  };

  explicit GrantRegion(platform::Platform& platform) : platform_(platform) {}
  GrantRegion(const GrantRegion&) = delete;
  GrantRegion& operator=(const GrantRegion&) = delete;
  ~GrantRegion();

  /// Permits the peer all pages. When it fails some may be permitted: abandon() it then too.
  Status start(const xenbus::Services& services, Caller& caller, const Config& config);

  UserAddress address() const { return mapping_ ? mapping_->address() : 0; }
  /// Whether any of the `pages` pages from `address` on is one that this driver provided.
  bool provides(UserAddress address, uint32_t pages) const;
  std::span<const xenbus::GrantRef> references() { return references_.span(); }
  /// Sets the byte that the notification names, through this driver's own view of the page.
  void clear_byte(uint32_t offset);

  /// Ends the grants that are left. kBusy while the peer maps one: the caller keeps the pages.
  Status end();
  /// The caller leaves it behind. True: all is given back but what the bus has parked. False:
  /// the peer maps pages of the caller's own, so the region must stay until end() is kOk.
  [[nodiscard]] bool abandon();
  /// The peer never let go: loses the pages.
  void lose();

  platform::Box<GrantRegion> next;

 private:
  platform::Platform& platform_;
  bool own_pages_ = false;
  platform::Array<platform::Page> pages_;
  platform::Array<xenbus::GrantRef> references_;
  platform::Array<bool> live_;  ///< whether the reference of that index is permitted
  Owned<xenbus::GrantCache> cache_;
  Owned<UserMapping> mapping_;
};

}  // namespace ringside::xeniface
