#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/interfaces/services.hpp"
#include "protocols/xeniface/caller.hpp"
#include "protocols/xeniface/grant_region.hpp"
#include "protocols/xeniface/map_region.hpp"
#include "protocols/xeniface/objects.hpp"

namespace ringside::xeniface {

class Gateway;

/// One open handle of the device (file object) and all that was made through it.
///
/// What one handle made no other can see, use or end. Requests of one handle may overlap; all
/// calls are at passive level and may wait. Source: xeniface_ioctls.h. [IFACE-001..045]
class Handle {
 public:
  static Result<Owned<Handle>> create(Gateway& gateway, Caller& caller);
  Handle(Gateway& gateway, Caller& caller);  ///< see create()
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  /// IRP_MJ_DEVICE_CONTROL. With kPending the request stays until its grant ends, by a revoke,
  /// by cancel() or by cleanup().
  Answer dispatch(const Request& request);

  /// Ends what `request` is pending for and completes it with kCancelled. One that has been
  /// completed already, or is just about to be, is left alone; so is one that dispatch() has not
  /// answered yet, for which the shell calls again.
  void cancel(PendingRequest& request);

  /// IRP_MJ_CLEANUP: the last handle was closed. Ends everything; requests still under way fail.
  void cleanup();
  /// IRP_MJ_CLOSE: no request is under way any more. Does what cleanup() does if need be.
  void destroy();

 private:
  Answer serve(const Request& request);

  // store_requests.cpp
  Answer store_read(const Request& request);
  Answer store_write(const Request& request);
  Answer store_directory(const Request& request);
  Answer store_remove(const Request& request);
  template <typename Pointer>
  Answer store_set_permissions(const Request& request);
  template <typename Pointer>
  Answer store_add_watch(const Request& request);
  template <typename Pointer>
  Answer store_remove_watch(const Request& request);
  Result<platform::Buffer> read_path(UserAddress path, uint32_t length);
  /// Answers the context that stands for the watch.
  Result<uint32_t> add_watch(platform::Box<StoreWatch> object, std::string_view path);

  // event_requests.cpp
  template <typename Pointer>
  Answer evtchn_bind_interdomain(const Request& request);
  template <typename Pointer>
  Answer evtchn_bind_unbound(const Request& request);
  Answer evtchn_close(const Request& request);
  Answer evtchn_notify(const Request& request);
  Answer evtchn_unmask(const Request& request);
  template <typename Open>
  Answer bind(const Request& request, UserHandle event, bool masked, Open open);
  /// False when this handle has no such channel.
  bool notify(uint32_t port);
  bool owns_channel(uint32_t port);

  // grant_requests.cpp
  Answer gnttab_permit(const Request& request);
  template <typename Pointer>
  Answer gnttab_permit_v2(const Request& request);
  Answer gnttab_revoke(const Request& request);
  template <typename Pointer>
  Answer gnttab_revoke_v2(const Request& request);
  template <typename Pointer>
  Answer permit(const Request& request, const GrantRegion::Config& config, const uint32_t* id);
  template <typename Match>
  Answer revoke(Match match);
  template <typename Match>
  bool has_grant(Match match);
  void announce_end(GrantRegion& region);
  void abandon(platform::Box<GrantRegion> region);

  // map_requests.cpp
  template <typename In>
  Answer gnttab_map(const Request& request);
  Answer gnttab_unmap(const Request& request);
  template <typename Pointer>
  Answer gnttab_unmap_v2(const Request& request);
  Result<platform::Box<MapRegion>> start_map(const Request& request, xenbus::DomainId peer,
                                             uint32_t pages, size_t references_at,
                                             xenbus::Access access);
  Answer pend_map(const Request& request, platform::Box<MapRegion> region);
  bool has_map(uint32_t id);
  bool maps_cover(UserAddress address, uint32_t pages);
  template <typename Match>
  Answer unmap(Match match);
  void end_map(platform::Box<MapRegion> region, NtStatus status);

  // suspend_requests.cpp
  Answer suspend_get_count(const Request& request);
  template <typename Pointer>
  Answer suspend_register(const Request& request);
  template <typename Pointer>
  Answer suspend_deregister(const Request& request);

  Answer shared_info_get_time(const Request& request);  // time_requests.cpp
  Answer log(const Request& request);
  /// A number that no object of `list` has, for a caller to know a new one by. Under the lock.
  template <typename T>
  uint32_t fresh_context(const ObjectList<T>& list) {
    do {
      ++last_context_;
    } while (last_context_ == 0 ||
             list.find([this](const T& one) { return one.context == last_context_; }) != nullptr);
    return last_context_;
  }

  Gateway& gateway_;
  const xenbus::Services& services_;
  Caller& caller_;
  platform::Box<Handle> self_;
  Owned<platform::Lock> lock_;  ///< guards the rest; never held across a wait
  bool closing_ = false;
  uint32_t last_context_ = 0;
  ObjectList<GrantRegion> grants_;
  ObjectList<MapRegion> maps_;
  ObjectList<StoreWatch> watches_;
  ObjectList<Channel> channels_;
  ObjectList<SuspendEvent> suspend_events_;
};

}  // namespace ringside::xeniface
