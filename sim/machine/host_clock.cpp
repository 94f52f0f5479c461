#include "sim/machine/host_clock.hpp"

#include <atomic>

namespace ringside::sim {
namespace {

/// Changes what a version counter guards: odd meanwhile.
template <typename Change>
void under(uint32_t& version, Change change) {
  const std::atomic_ref<uint32_t> guard(version);
  guard.fetch_add(1);
  change();
  std::atomic_thread_fence(std::memory_order_release);
  guard.fetch_add(1);
}

}  // namespace

uint64_t HostClock::tsc(uint64_t nanoseconds) const {
  // In two parts, as the product needs more than 64 bits.
  constexpr uint64_t kMillion = 1'000'000;
  return tsc_at_start + nanoseconds / kMillion * tsc_khz +
         nanoseconds % kMillion * tsc_khz / kMillion;
}

void HostClock::write_system_time(vcpu_time_info_t& time, uint64_t nanoseconds) const {
  // As Xen scales it: the multiplier uses all of its 32 bits.
  uint64_t hertz = tsc_khz * 1000;
  constexpr uint64_t kSecond = 1'000'000'000;
  int shift = 0;
  while (hertz > 2 * kSecond) {
    hertz >>= 1;
    --shift;
  }
  while (hertz <= kSecond) {
    hertz <<= 1;
    ++shift;
  }
  under(time.version, [&] {
    time.tsc_timestamp = tsc(nanoseconds);
    time.system_time = nanoseconds;
    time.tsc_to_system_mul = static_cast<uint32_t>((kSecond << 32) / hertz);
    time.tsc_shift = static_cast<int8_t>(shift);
    time.flags = XEN_PVCLOCK_TSC_STABLE_BIT;
  });
}

void HostClock::write_wall_clock(shared_info_t& info, int64_t offset) const {
  const uint64_t seconds = started + static_cast<uint64_t>(offset);
  under(info.wc_version, [&] {
    info.wc_sec = static_cast<uint32_t>(seconds);
    info.xen_wc_sec_hi = static_cast<uint32_t>(seconds >> 32);
    info.wc_nsec = 0;
  });
}

}  // namespace ringside::sim
