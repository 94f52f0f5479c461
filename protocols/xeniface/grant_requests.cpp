#include <cstring>

#include "protocols/xeniface/buffers.hpp"
#include "protocols/xeniface/gateway.hpp"
#include "protocols/xeniface/handle.hpp"

namespace ringside::xeniface {

namespace {

/// The members that all requests for a region share.
template <typename In>
GrantRegion::Config config_of(const In& in, UserAddress address) {
  return {.peer = in.remote_domain,
          .address = address,
          .pages = in.pages,
          .access =
              (in.flags & kReadOnly) != 0 ? xenbus::Access::kReadOnly : xenbus::Access::kReadWrite,
          .notification = {.byte = (in.flags & kUseNotifyOffset) != 0,
                           .port = (in.flags & kUseNotifyPort) != 0,
                           .offset = in.notify_offset,
                           .local_port = in.notify_port}};
}

/// IFACE-030: all sums in 64 bits, none of which the limits below let overflow.
bool makes_sense(const GrantRegion::Config& config, uint32_t flags, uint64_t address_limit) {
  if (config.pages == 0 || config.pages > kMaxPages || (flags & ~kAllPageFlags) != 0) return false;
  const uint64_t bytes = config.pages * uint64_t{platform::kPageSize};
  if (config.notification.byte && config.notification.offset >= bytes) return false;
  if (config.address % platform::kPageSize != 0) return false;
  return config.address <= address_limit - (bytes - 1);
}

auto is_pending(const PendingRequest* request) {
  return [request](const PendingRegion& one) { return one.request == request; };
}
auto has_id(uint32_t id) {
  return [id](const GrantRegion& one) { return one.has_id && one.id == id; };
}
auto has_address(UserAddress address) {
  return [address](const GrantRegion& one) { return one.address() == address; };
}

}  // namespace

Answer Handle::gnttab_permit(const Request& request) {
  if (request.input_length != sizeof(GnttabPermitIn)) return {NtStatus::kInvalidBufferSize};
  const auto in = input_of<GnttabPermitIn>(request);
  const auto config = config_of(in, 0);
  if (!makes_sense(config, in.flags, ~uint64_t{0})) return {NtStatus::kInvalidParameter};
  return request.width == Width::k64 ? permit<uint64_t>(request, config, &in.request_id)
                                     : permit<uint32_t>(request, config, &in.request_id);
}

template <typename Pointer>
Answer Handle::gnttab_permit_v2(const Request& request) {
  using In = GnttabPermitInV2<Pointer>;
  if (request.input_length != sizeof(In)) return {NtStatus::kInvalidBufferSize};
  const In in = input_of<In>(request);
  const auto config = config_of(in, in.address);
  if (!makes_sense(config, in.flags, Pointer(~Pointer{0}))) return {NtStatus::kInvalidParameter};
  return permit<Pointer>(request, config, nullptr);
}

template <typename Match>
bool Handle::has_grant(Match match) {
  const platform::LockGuard guard(*lock_);
  return grants_.find(match) != nullptr;
}

template <typename Pointer>
Answer Handle::permit(const Request& request, const GrantRegion::Config& config,
                      const uint32_t* id) {
  using Out = OnePointer<Pointer>;
  const size_t length = sizeof(Out) + config.pages * sizeof(xenbus::GrantRef);
  if (request.output_length != length) return {NtStatus::kInvalidBufferSize};
  // IFACE-034: a channel of this handle, or somebody else's peer could be woken through it.
  if (request.pending == nullptr ||
      (config.notification.port && !owns_channel(config.notification.local_port)) ||
      (id != nullptr && has_grant(has_id(*id))) ||
      (config.address != 0 && maps_cover(config.address, config.pages)) ||
      (config.address != 0 && has_grant([&](const GrantRegion& one) {
         // IFACE-033. What the driver lent and will take back can't be pinned as the caller's.
         return one.address() == config.address || one.provides(config.address, config.pages);
       }))) {
    return {NtStatus::kInvalidParameter};
  }
  auto box = platform::Box<GrantRegion>::create(services_.platform, services_.platform);
  if (!box) return {nt_status(box.status())};
  platform::Box<GrantRegion> region = *std::move(box);
  Status status = region->start(services_, caller_, config);
  auto output = platform::Array<std::byte>::create(services_.platform, ok(status) ? length : 0);
  if (ok(status)) status = output.status();
  if (ok(status)) {
    const Out head{static_cast<Pointer>(region->address())};
    std::memcpy(output->begin(), &head, sizeof(head));
    std::memcpy(output->begin() + sizeof(head), region->references().data(), length - sizeof(head));
    status = request.pending->deliver(output->span());
  }
  NtStatus refused = memory_status(status);
  if (ok(status)) {
    region->request = request.pending;
    region->has_id = id != nullptr;
    region->id = id != nullptr ? *id : 0;
    const platform::LockGuard guard(*lock_);
    // IFACE-033: asked again, as two requests may have come this far side by side.
    const bool taken = (id != nullptr && grants_.find(has_id(*id)) != nullptr) ||
                       grants_.find(has_address(region->address())) != nullptr;
    refused = taken ? NtStatus::kInvalidParameter : NtStatus::kDeviceNotReady;
    if (!closing_ && !taken) grants_.add(std::move(region));
  }
  if (!region) return {NtStatus::kPending};
  abandon(std::move(region));
  return {refused};
}

/// Tells the peer once, in the order that the ABI has: the byte, then the event.
void Handle::announce_end(GrantRegion& region) {
  if (region.notified) return;
  region.notified = true;
  if (region.notification.byte) region.clear_byte(region.notification.offset);
  if (region.notification.port) (void)notify(region.notification.local_port);
}

void Handle::abandon(platform::Box<GrantRegion> region) {
  // One that never became pending is nobody's to be told of.
  if (region->request != nullptr) announce_end(*region);
  if (!region->abandon()) gateway_.park(std::move(region));
}

Answer Handle::gnttab_revoke(const Request& request) {
  if (!lengths_are<GnttabRequestId>(request, request.output_length)) {
    return {NtStatus::kInvalidBufferSize};
  }
  return revoke(has_id(input_of<GnttabRequestId>(request).request_id));
}

template <typename Pointer>
Answer Handle::gnttab_revoke_v2(const Request& request) {
  using In = OnePointer<Pointer>;
  if (!lengths_are<In>(request, request.output_length)) return {NtStatus::kInvalidBufferSize};
  return revoke(has_address(input_of<In>(request).value));
}

template <typename Match>
Answer Handle::revoke(Match match) {
  GrantRegion* found;
  {
    const platform::LockGuard guard(*lock_);
    found = grants_.find([&](const GrantRegion& one) { return !one.claimed && match(one); });
    if (found == nullptr) return {NtStatus::kNotFound};
    found->claimed = true;
  }
  announce_end(*found);
  const Status status = found->end();
  platform::Box<GrantRegion> region;
  {
    const platform::LockGuard guard(*lock_);
    if (ok(status) || found->abandoned) {
      region = grants_.take(is_pending(found->request));
    } else {
      found->claimed = false;
    }
  }
  // IFACE-031: not ended, and not said to be; the pages stay the caller's to share.
  if (!region) return {NtStatus::kDeviceBusy};
  PendingRequest* const request = region->request;
  abandon(std::move(region));
  request->complete(ok(status) ? NtStatus::kSuccess : NtStatus::kCancelled);
  return {ok(status) ? NtStatus::kSuccess : NtStatus::kDeviceBusy};
}

void Handle::cancel(PendingRequest& request) {
  platform::Box<GrantRegion> region;
  platform::Box<MapRegion> map;
  {
    const platform::LockGuard guard(*lock_);
    if (GrantRegion* const found = grants_.find(is_pending(&request)); found != nullptr) {
      found->abandoned = true;
      if (!found->claimed) region = grants_.take(is_pending(&request));
    } else {
      map = maps_.take(is_pending(&request));
    }
  }
  if (map) end_map(std::move(map), NtStatus::kCancelled);
  if (!region) return;
  abandon(std::move(region));
  request.complete(NtStatus::kCancelled);
}

template Answer Handle::gnttab_permit_v2<uint32_t>(const Request&);
template Answer Handle::gnttab_permit_v2<uint64_t>(const Request&);
template Answer Handle::gnttab_revoke_v2<uint32_t>(const Request&);
template Answer Handle::gnttab_revoke_v2<uint64_t>(const Request&);

}  // namespace ringside::xeniface
