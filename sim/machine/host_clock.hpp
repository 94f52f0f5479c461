#pragma once

#include <cstdint>

#include "protocols/platform/xen.hpp"

namespace ringside::sim {

/// The clocks of a host: its time stamp counter, and what time it was when the world began.
struct HostClock {
  uint64_t tsc_khz = 2'400'000;
  uint64_t tsc_at_start = 1'000'000'000;
  uint64_t started = 1'700'000'000;  ///< seconds since 1970

  /// `nanoseconds` of world time.
  uint64_t tsc(uint64_t nanoseconds) const;
  /// Tells a vCPU the time as Xen does, as of `nanoseconds`.
  void write_system_time(vcpu_time_info_t& time, uint64_t nanoseconds) const;
  /// Tells a domain when its host started; `offset` in seconds is the domain's own.
  void write_wall_clock(shared_info_t& info, int64_t offset) const;
};

}  // namespace ringside::sim
