#pragma once

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/interfaces/foreign_grants.hpp"
#include "protocols/xenbus/interfaces/services.hpp"
#include "protocols/xenbus/interfaces/shared_info.hpp"
#include "protocols/xenbus/interfaces/suspend.hpp"
#include "protocols/xeniface/caller.hpp"
#include "protocols/xeniface/grant_region.hpp"
#include "protocols/xeniface/handle.hpp"
#include "protocols/xeniface/objects.hpp"

namespace ringside::xeniface {

/// What XENIFACE stands on. Requests for what is not there answer STATUS_NOT_SUPPORTED.
struct Interfaces {
  xenbus::Services services;
  xenbus::ForeignGrants* foreign = nullptr;
  xenbus::Suspend* suspend = nullptr;
  xenbus::SharedInfo* shared_info = nullptr;
};

/// XENIFACE: what programs of this domain reach Xen through, one Handle for each open.
///
/// Handles must be gone before it, and it before the bus.
class Gateway {
 public:
  /// kNoMemory.
  static Result<platform::Box<Gateway>> create(const Interfaces& interfaces);

  explicit Gateway(const Interfaces& interfaces)  ///< see create()
      : services_(interfaces.services),
        foreign_(interfaces.foreign),
        suspend_(interfaces.suspend),
        shared_info_(interfaces.shared_info) {}
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;
  /// Passive level. Pages of callers that a peer still maps are lost.
  ~Gateway();

  /// IRP_MJ_CREATE. `caller` must outlive the handle. kAccessDenied for all but administrators,
  /// also where the device's own descriptor would have let them through. [IFACE-001]
  Result<Owned<Handle>> open(Caller& caller);

  const xenbus::Services& services() const { return services_; }
  xenbus::ForeignGrants* foreign() const { return foreign_; }
  xenbus::Suspend* suspend() const { return suspend_; }
  xenbus::SharedInfo* shared_info() const { return shared_info_; }
  /// Takes a region whose pages, the caller's own, are still mapped by the peer. Tried again
  /// every second. Passive level.
  void park(platform::Box<GrantRegion> region);
  /// Regions that park() still keeps.
  unsigned parked() const;

 private:
  static constexpr platform::Nanoseconds kRetryInterval = platform::kSecond;

  Status start();
  void timer_expired() { retry_->queue(); }
  void retry();

  xenbus::Services services_;
  xenbus::ForeignGrants* foreign_;
  xenbus::Suspend* suspend_;
  xenbus::SharedInfo* shared_info_;
  Owned<platform::Lock> lock_;  ///< guards the rest
  ObjectList<GrantRegion> parked_;
  unsigned parked_count_ = 0;
  bool retrying_ = false;  ///< the timer runs or the work is under way
  bool leaving_ = false;
  Owned<platform::Work> retry_;
  Owned<platform::Timer> timer_;
};

}  // namespace ringside::xeniface
