#pragma once

#include <cstdint>

#include "protocols/platform/status.hpp"
#include "protocols/xenbus/interfaces/identity.hpp"

namespace ringside::xenbus {

struct WallClock {
  uint64_t nanoseconds = 0;  ///< since 1970
  bool local = false;        ///< in the time zone of this system, not UTC
};

/// XENBUS SHARED_INFO: what Xen tells the domain in its shared info page. The page's event bits
/// are served through EVTCHN alone.
class SharedInfo {
 public:
  static constexpr InterfaceIdentity kIdentity{"SHARED_INFO",
                                               guid("7E73C34F-1640-4649-A8F3-263BC930A004")};

  /// The time of the host, with the domain's offset; kAgain while Xen is changing it. Any level.
  /// [TIME-001, TIME-002, TIME-003]
  virtual Result<WallClock> time() = 0;
  /// Whether upcalls of `cpu` come to it, and not to CPU 0.
  virtual bool upcall_supported(unsigned cpu) const = 0;
  /// Whether Xen has raised one that `cpu` did not take yet.
  virtual bool upcall_pending(unsigned cpu) const = 0;

 protected:
  ~SharedInfo() = default;
};

}  // namespace ringside::xenbus
