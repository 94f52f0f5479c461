#include "protocols/xeniface/buffers.hpp"
#include "protocols/xeniface/gateway.hpp"
#include "protocols/xeniface/handle.hpp"

namespace ringside::xeniface {

Answer Handle::suspend_get_count(const Request& request) {
  if (gateway_.suspend() == nullptr) return {NtStatus::kNotSupported};
  if (request.input_length != 0 || request.output_length != sizeof(uint32_t)) {
    return {NtStatus::kInvalidBufferSize};
  }
  return answer_with(request, gateway_.suspend()->count());
}

template <typename Pointer>
Answer Handle::suspend_register(const Request& request) {
  using Both = OnePointer<Pointer>;
  if (gateway_.suspend() == nullptr) return {NtStatus::kNotSupported};
  if (!lengths_are<Both>(request, sizeof(Both))) return {NtStatus::kInvalidBufferSize};
  auto box = platform::Box<SuspendEvent>::create(services_.platform);
  if (!box) return {nt_status(box.status())};
  platform::Box<SuspendEvent> object = *std::move(box);
  auto event = caller_.open_event(widen(input_of<Both>(request).value));
  if (!event) return {handle_status(event.status())};
  object->event = *std::move(event);
  auto callback = gateway_.suspend()->add(xenbus::SuspendPhase::kLate,
                                          Delegate::to<&SuspendEvent::resumed>(*object));
  if (!callback) return {nt_status(callback.status())};
  object->callback = *std::move(callback);
  uint32_t context = 0;
  {
    const platform::LockGuard guard(*lock_);
    if (!closing_) {
      context = object->context = fresh_context(suspend_events_);
      suspend_events_.add(std::move(object));
    }
  }
  if (context == 0) return {NtStatus::kDeviceNotReady};
  return answer_with(request, Both{context});
}

template <typename Pointer>
Answer Handle::suspend_deregister(const Request& request) {
  using In = OnePointer<Pointer>;
  if (gateway_.suspend() == nullptr) return {NtStatus::kNotSupported};
  if (!lengths_are<In>(request, 0)) return {NtStatus::kInvalidBufferSize};
  const In in = input_of<In>(request);
  lock_->acquire();
  const platform::Box<SuspendEvent> found =
      suspend_events_.take([&](const SuspendEvent& one) { return one.context == in.value; });
  lock_->release();
  return {found ? NtStatus::kSuccess : NtStatus::kNotFound};
}

template Answer Handle::suspend_register<uint32_t>(const Request&);
template Answer Handle::suspend_register<uint64_t>(const Request&);
template Answer Handle::suspend_deregister<uint32_t>(const Request&);
template Answer Handle::suspend_deregister<uint64_t>(const Request&);

}  // namespace ringside::xeniface
