#include <cstring>

#include "protocols/xeniface/buffers.hpp"
#include "protocols/xeniface/gateway.hpp"
#include "protocols/xeniface/handle.hpp"

namespace ringside::xeniface {

namespace {

auto has_id(uint32_t id) {
  return [id](const MapRegion& one) { return one.has_id && one.id == id; };
}

/// IFACE-030, and that no byte is written where the peer gave nothing but leave to read.
template <typename In>
bool makes_sense(const In& in) {
  if (in.pages == 0 || in.pages > kMaxPages || (in.flags & ~kAllPageFlags) != 0) return false;
  if ((in.flags & kUseNotifyOffset) == 0) return true;
  return (in.flags & kReadOnly) == 0 && in.notify_offset < in.pages * uint64_t{platform::kPageSize};
}

}  // namespace

template <typename In>
Answer Handle::gnttab_map(const Request& request) {
  if (gateway_.foreign() == nullptr) return {NtStatus::kNotSupported};
  const size_t pointer = request.width == Width::k64 ? sizeof(uint64_t) : sizeof(uint32_t);
  if (request.input_length < sizeof(In) + sizeof(xenbus::GrantRef) ||
      request.output_length != pointer) {
    return {NtStatus::kInvalidBufferSize};
  }
  const In in = input_of<In>(request);
  const size_t references = request.input_length - sizeof(In);
  if (!makes_sense(in) || in.pages != references / sizeof(xenbus::GrantRef)) {
    return {NtStatus::kInvalidParameter};
  }
  if (references % sizeof(xenbus::GrantRef) != 0) return {NtStatus::kInvalidBufferSize};
  const bool by_id = std::is_same_v<In, GnttabMapIn>;
  uint32_t id = 0;
  if constexpr (by_id) id = in.request_id;
  if (request.pending == nullptr ||
      ((in.flags & kUseNotifyPort) != 0 && !owns_channel(in.notify_port)) ||
      (by_id && has_map(id))) {
    return {NtStatus::kInvalidParameter};
  }
  auto region = start_map(
      request, in.remote_domain, in.pages, sizeof(In),
      (in.flags & kReadOnly) != 0 ? xenbus::Access::kReadOnly : xenbus::Access::kReadWrite);
  if (!region) return {nt_status(region.status())};
  (*region)->has_id = by_id;
  (*region)->id = id;
  (*region)->notification = {.byte = (in.flags & kUseNotifyOffset) != 0,
                             .port = (in.flags & kUseNotifyPort) != 0,
                             .offset = in.notify_offset,
                             .local_port = in.notify_port};
  return pend_map(request, *std::move(region));
}

Result<platform::Box<MapRegion>> Handle::start_map(const Request& request, xenbus::DomainId peer,
                                                   uint32_t pages, size_t references_at,
                                                   xenbus::Access access) {
  if (pages > xenbus::kMaxForeignPages) return Status::kNoResources;
  auto references = platform::Array<xenbus::GrantRef>::create(services_.platform, pages);
  if (!references) return references.status();
  std::memcpy(references->begin(), request.buffer.data() + references_at,
              pages * sizeof(xenbus::GrantRef));
  auto region = platform::Box<MapRegion>::create(services_.platform);
  if (!region) return region.status();
  const Status status = (*region)->start(services_.platform, *gateway_.foreign(), caller_, peer,
                                         references->span(), access);
  if (!ok(status)) return status;
  return region;
}

Answer Handle::pend_map(const Request& request, platform::Box<MapRegion> region) {
  const uint64_t wide = region->address();
  const auto narrow = static_cast<uint32_t>(wide);
  const Status delivered =
      request.pending->deliver(request.width == Width::k64 ? std::as_bytes(std::span(&wide, 1))
                                                           : std::as_bytes(std::span(&narrow, 1)));
  if (!ok(delivered)) return {memory_status(delivered)};
  region->request = request.pending;
  const platform::LockGuard guard(*lock_);
  if (closing_) return {NtStatus::kDeviceNotReady};
  // IFACE-033: asked again, as two requests may have come this far side by side.
  if (region->has_id && maps_.find(has_id(region->id)) != nullptr) {
    return {NtStatus::kInvalidParameter};
  }
  maps_.add(std::move(region));
  return {NtStatus::kPending};
}

bool Handle::has_map(uint32_t id) {
  const platform::LockGuard guard(*lock_);
  return maps_.find(has_id(id)) != nullptr;
}

bool Handle::maps_cover(UserAddress address, uint32_t pages) {
  const platform::LockGuard guard(*lock_);
  return maps_.find([&](const MapRegion& one) { return one.covers(address, pages); }) != nullptr;
}

Answer Handle::gnttab_unmap(const Request& request) {
  if (gateway_.foreign() == nullptr) return {NtStatus::kNotSupported};
  if (!lengths_are<GnttabRequestId>(request, 0)) return {NtStatus::kInvalidBufferSize};
  return unmap(has_id(input_of<GnttabRequestId>(request).request_id));
}

template <typename Pointer>
Answer Handle::gnttab_unmap_v2(const Request& request) {
  using In = OnePointer<Pointer>;
  if (gateway_.foreign() == nullptr) return {NtStatus::kNotSupported};
  if (!lengths_are<In>(request, 0)) return {NtStatus::kInvalidBufferSize};
  const UserAddress address = input_of<In>(request).value;
  return unmap([address](const MapRegion& one) { return one.address() == address; });
}

template <typename Match>
Answer Handle::unmap(Match match) {
  lock_->acquire();
  platform::Box<MapRegion> region = maps_.take(match);
  lock_->release();
  if (!region) return {NtStatus::kNotFound};
  end_map(std::move(region), NtStatus::kSuccess);
  return {};
}

/// IFACE-045: the byte while the page is still there, the event once it is not.
void Handle::end_map(platform::Box<MapRegion> region, NtStatus status) {
  PendingRequest* const request = region->request;
  const Notification notification = region->notification;
  if (notification.byte) region->clear_byte(notification.offset);
  { const platform::Box<MapRegion> last = std::move(region); }
  if (notification.port) (void)notify(notification.local_port);
  request->complete(status);
}

template Answer Handle::gnttab_map<GnttabMapIn>(const Request&);
template Answer Handle::gnttab_map<GnttabMapInV2>(const Request&);
template Answer Handle::gnttab_unmap_v2<uint32_t>(const Request&);
template Answer Handle::gnttab_unmap_v2<uint64_t>(const Request&);

}  // namespace ringside::xeniface
