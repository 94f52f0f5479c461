#include "protocols/xeniface/buffers.hpp"
#include "protocols/xeniface/gateway.hpp"
#include "protocols/xeniface/handle.hpp"

namespace ringside::xeniface {

Answer Handle::shared_info_get_time(const Request& request) {
  constexpr uint64_t kFrom1601To1970 = 116'444'736'000'000'000;  // in units of 100 ns
  if (gateway_.shared_info() == nullptr) return {NtStatus::kNotSupported};
  if (request.input_length != 0 || request.output_length != sizeof(SharedInfoGetTimeOut)) {
    return {NtStatus::kInvalidBufferSize};
  }
  const auto clock = gateway_.shared_info()->time();
  if (!clock) return {nt_status(clock.status())};
  const uint64_t time = clock->nanoseconds / 100 + kFrom1601To1970;
  return answer_with(request, SharedInfoGetTimeOut{.time_low = static_cast<uint32_t>(time),
                                                   .time_high = static_cast<uint32_t>(time >> 32),
                                                   .local = clock->local,
                                                   .padding = {}});
}

}  // namespace ringside::xeniface
