#include "protocols/xeniface/buffers.hpp"
#include "protocols/xeniface/gateway.hpp"
#include "protocols/xeniface/handle.hpp"

namespace ringside::xeniface {

namespace {

constexpr unsigned kCpu = 0;

auto has_port(uint32_t port) {
  return [port](const Channel& one) { return one.channel->port() == port; };
}

}  // namespace

template <typename Open>
Answer Handle::bind(const Request& request, UserHandle event_handle, bool masked, Open open) {
  auto box = platform::Box<Channel>::create(services_.platform);
  if (!box) return {nt_status(box.status())};
  platform::Box<Channel> object = *std::move(box);
  auto event = caller_.open_event(event_handle);
  if (!event) return {handle_status(event.status())};
  object->event = *std::move(event);
  object->masked.store(masked);
  auto channel = open(Delegate::to<&Channel::fired>(*object));
  if (!channel) return {nt_status(channel.status())};
  object->channel = *std::move(channel);
  const uint32_t port = object->channel->port();
  {
    const platform::LockGuard guard(*lock_);
    if (!closing_) channels_.add(std::move(object));
  }
  if (object) return {NtStatus::kDeviceNotReady};
  return answer_with(request, EvtchnPort{port});
}

template <typename Pointer>
Answer Handle::evtchn_bind_interdomain(const Request& request) {
  using In = EvtchnBindInterdomainIn<Pointer>;
  if (!lengths_are<In>(request, sizeof(EvtchnPort))) return {NtStatus::kInvalidBufferSize};
  const In in = input_of<In>(request);
  return bind(request, widen(in.event), in.mask != 0, [&](Delegate fired) {
    return services_.events.open_interdomain(in.remote_domain, in.remote_port, fired, kCpu);
  });
}

template <typename Pointer>
Answer Handle::evtchn_bind_unbound(const Request& request) {
  using In = EvtchnBindUnboundIn<Pointer>;
  if (!lengths_are<In>(request, sizeof(EvtchnPort))) return {NtStatus::kInvalidBufferSize};
  const In in = input_of<In>(request);
  return bind(request, widen(in.event), in.mask != 0, [&](Delegate fired) {
    return services_.events.open_unbound(in.remote_domain, fired, kCpu);
  });
}

Answer Handle::evtchn_close(const Request& request) {
  if (!lengths_are<EvtchnPort>(request, 0)) return {NtStatus::kInvalidBufferSize};
  const auto in = input_of<EvtchnPort>(request);
  lock_->acquire();
  const platform::Box<Channel> found = channels_.take(has_port(in.local_port));
  lock_->release();
  return {found ? NtStatus::kSuccess : NtStatus::kNotFound};
}

Answer Handle::evtchn_notify(const Request& request) {
  if (!lengths_are<EvtchnPort>(request, 0)) return {NtStatus::kInvalidBufferSize};
  const auto in = input_of<EvtchnPort>(request);
  return {notify(in.local_port) ? NtStatus::kSuccess : NtStatus::kNotFound};
}

Answer Handle::evtchn_unmask(const Request& request) {
  if (!lengths_are<EvtchnPort>(request, 0)) return {NtStatus::kInvalidBufferSize};
  const auto in = input_of<EvtchnPort>(request);
  const platform::LockGuard guard(*lock_);
  Channel* const found = channels_.find(has_port(in.local_port));
  if (found == nullptr) return {NtStatus::kInvalidParameter};
  found->unmask();
  return {};
}

bool Handle::notify(uint32_t port) {
  const platform::LockGuard guard(*lock_);
  Channel* const found = channels_.find(has_port(port));
  if (found == nullptr) return false;
  found->channel->notify();
  return true;
}

bool Handle::owns_channel(uint32_t port) {
  const platform::LockGuard guard(*lock_);
  return channels_.find(has_port(port)) != nullptr;
}

template Answer Handle::evtchn_bind_interdomain<uint32_t>(const Request&);
template Answer Handle::evtchn_bind_interdomain<uint64_t>(const Request&);
template Answer Handle::evtchn_bind_unbound<uint32_t>(const Request&);
template Answer Handle::evtchn_bind_unbound<uint64_t>(const Request&);

}  // namespace ringside::xeniface
