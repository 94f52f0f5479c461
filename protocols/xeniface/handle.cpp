#include "protocols/xeniface/handle.hpp"

#include <algorithm>

#include "protocols/xeniface/buffers.hpp"
#include "protocols/xeniface/gateway.hpp"

namespace ringside::xeniface {

NtStatus nt_status(Status status) {
  switch (status) {
    case Status::kOk: return NtStatus::kSuccess;
    case Status::kInvalidArgument: return NtStatus::kInvalidParameter;
    case Status::kNotFound: return NtStatus::kObjectNameNotFound;
    case Status::kExists: return NtStatus::kObjectNameCollision;
    case Status::kNoMemory: return NtStatus::kNoMemory;
    case Status::kNoResources: return NtStatus::kInsufficientResources;
    case Status::kBusy: return NtStatus::kDeviceBusy;
    case Status::kAgain: return NtStatus::kRetry;
    case Status::kTimedOut: return NtStatus::kIoTimeout;
    case Status::kAccessDenied: return NtStatus::kAccessDenied;
    case Status::kNotSupported: return NtStatus::kNotSupported;
    case Status::kTooLarge: return NtStatus::kInvalidBufferSize;
    case Status::kReadOnly: return NtStatus::kMediaWriteProtected;
    case Status::kIoError: return NtStatus::kIoDeviceError;
    case Status::kPeerViolation: return NtStatus::kDeviceProtocolError;
    case Status::kClosed: return NtStatus::kDeviceNotReady;
    case Status::kCancelled: return NtStatus::kCancelled;
  }
  return NtStatus::kIoDeviceError;
}

NtStatus memory_status(Status status) {
  return status == Status::kAccessDenied ? NtStatus::kAccessViolation : nt_status(status);
}

NtStatus handle_status(Status status) {
  return status == Status::kNotFound ? NtStatus::kInvalidHandle : nt_status(status);
}

Result<Owned<Handle>> Handle::create(Gateway& gateway, Caller& caller) {
  platform::Platform& platform = gateway.services().platform;
  auto box = platform::Box<Handle>::create(platform, gateway, caller);
  if (!box) return box.status();
  auto lock = platform.create_lock();
  if (!lock) return lock.status();
  Handle* handle = box->get();
  handle->lock_ = *std::move(lock);
  handle->self_ = *std::move(box);
  return Owned<Handle>(handle);
}

Handle::Handle(Gateway& gateway, Caller& caller)
    : gateway_(gateway), services_(gateway.services()), caller_(caller) {}

Answer Handle::dispatch(const Request& request) {
  // IFACE-002: the codes themselves ask for no access, so that the handle is asked instead.
  if (!caller_.may_read_and_write()) return {NtStatus::kAccessDenied};
  const size_t output = is_buffered(request.code) ? request.output_length : 0;
  if (request.buffer.size() < std::max<size_t>(request.input_length, output)) {
    return {NtStatus::kInvalidBufferSize};
  }
  {
    const platform::LockGuard guard(*lock_);
    if (closing_) return {NtStatus::kDeviceNotReady};
  }
  return serve(request);
}

Answer Handle::serve(const Request& request) {
  const bool wide = request.width == Width::k64;
  using Wide = uint64_t;
  using Narrow = uint32_t;
  switch (static_cast<Ioctl>(request.code)) {
    case Ioctl::kStoreRead: return store_read(request);
    case Ioctl::kStoreWrite: return store_write(request);
    case Ioctl::kStoreDirectory: return store_directory(request);
    case Ioctl::kStoreRemove: return store_remove(request);
    case Ioctl::kStoreSetPermissions:
      return wide ? store_set_permissions<Wide>(request) : store_set_permissions<Narrow>(request);
    case Ioctl::kStoreAddWatch:
      return wide ? store_add_watch<Wide>(request) : store_add_watch<Narrow>(request);
    case Ioctl::kStoreRemoveWatch:
      return wide ? store_remove_watch<Wide>(request) : store_remove_watch<Narrow>(request);
    case Ioctl::kEvtchnBindInterdomain:
      return wide ? evtchn_bind_interdomain<Wide>(request)
                  : evtchn_bind_interdomain<Narrow>(request);
    case Ioctl::kEvtchnBindUnbound:
      return wide ? evtchn_bind_unbound<Wide>(request) : evtchn_bind_unbound<Narrow>(request);
    case Ioctl::kEvtchnClose: return evtchn_close(request);
    case Ioctl::kEvtchnNotify: return evtchn_notify(request);
    case Ioctl::kEvtchnUnmask: return evtchn_unmask(request);
    case Ioctl::kGnttabPermit: return gnttab_permit(request);
    case Ioctl::kGnttabPermitV2:
      return wide ? gnttab_permit_v2<Wide>(request) : gnttab_permit_v2<Narrow>(request);
    case Ioctl::kGnttabRevoke: return gnttab_revoke(request);
    case Ioctl::kGnttabRevokeV2:
      return wide ? gnttab_revoke_v2<Wide>(request) : gnttab_revoke_v2<Narrow>(request);
    case Ioctl::kGnttabMap: return gnttab_map<GnttabMapIn>(request);
    case Ioctl::kGnttabMapV2: return gnttab_map<GnttabMapInV2>(request);
    case Ioctl::kGnttabUnmap: return gnttab_unmap(request);
    case Ioctl::kGnttabUnmapV2:
      return wide ? gnttab_unmap_v2<Wide>(request) : gnttab_unmap_v2<Narrow>(request);
    case Ioctl::kSuspendGetCount: return suspend_get_count(request);
    case Ioctl::kSuspendRegister:
      return wide ? suspend_register<Wide>(request) : suspend_register<Narrow>(request);
    case Ioctl::kSuspendDeregister:
      return wide ? suspend_deregister<Wide>(request) : suspend_deregister<Narrow>(request);
    case Ioctl::kSharedInfoGetTime: return shared_info_get_time(request);
    case Ioctl::kLog: return log(request);
  }
  return {NtStatus::kInvalidDeviceRequest};
}

Answer Handle::log(const Request& request) {
  if (request.input_length == 0 || request.input_length > kMaxLogLength ||
      request.output_length != 0) {
    return {NtStatus::kInvalidBufferSize};
  }
  const auto text = text_of(request.buffer.first(request.input_length), Lines::kMany);
  if (!text) return {NtStatus::kInvalidParameter};
  // IFACE-043: each line says who wrote it, so that none passes for the driver's own.
  constexpr std::string_view kPrefix = "user: ";
  std::array<char, kPrefix.size() + kMaxLogLength> line;
  std::copy(kPrefix.begin(), kPrefix.end(), line.begin());
  std::string_view rest = *text;
  while (!rest.empty()) {
    const size_t length = std::min(rest.find_first_of("\r\n"), rest.size());
    std::copy_n(rest.begin(), length, line.begin() + kPrefix.size());
    if (length != 0) {
      services_.platform.log(platform::LogLevel::kInfo, {line.data(), kPrefix.size() + length});
    }
    rest.remove_prefix(std::min(length + 1, rest.size()));
  }
  return {};
}

void Handle::cleanup() {
  {
    const platform::LockGuard guard(*lock_);
    closing_ = true;
  }
  // IFACE-041: grants and maps first, for their peers are told over the channels.
  for (;;) {
    platform::Box<GrantRegion> region;
    {
      const platform::LockGuard guard(*lock_);
      region = grants_.take([](const GrantRegion& one) { return !one.claimed; });
      // Whoever is just ending one of the rest finishes it.
      if (!region) grants_.for_each([](GrantRegion& one) { one.abandoned = true; });
    }
    if (!region) break;
    PendingRequest* const request = region->request;
    abandon(std::move(region));
    request->complete(NtStatus::kCancelled);
  }
  for (;;) {
    lock_->acquire();
    platform::Box<MapRegion> region = maps_.take([](auto&) { return true; });
    lock_->release();
    if (!region) break;
    end_map(std::move(region), NtStatus::kCancelled);
  }
  const auto drain = [this](auto& list) {
    for (;;) {
      lock_->acquire();
      const auto object = list.take([](auto&) { return true; });
      lock_->release();
      if (!object) return;
    }
  };
  drain(watches_);
  drain(channels_);
  drain(suspend_events_);
}

void Handle::destroy() {
  cleanup();
  const platform::Box<Handle> last = std::move(self_);
}

}  // namespace ringside::xeniface
