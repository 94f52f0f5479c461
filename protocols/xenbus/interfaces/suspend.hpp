#pragma once

#include <cstdint>

#include "protocols/platform/delegate.hpp"
#include "protocols/platform/owned.hpp"
#include "protocols/platform/status.hpp"
#include "protocols/xenbus/interfaces/identity.hpp"
#include "protocols/xenbus/interfaces/tracked.hpp"

namespace ringside::xenbus {

/// When a callback runs after the domain was resumed elsewhere.
enum class SuspendPhase : uint8_t {
  kEarly,  ///< every other CPU still held, dispatch level: must neither wait nor use the store
  kLate,   ///< all CPUs run, passive level, the store answers again
};

enum class SuspendOutcome : uint8_t {
  kResumed,    ///< in a new domain: grants, channels, watches and back ends are gone
  kCancelled,  ///< in the same domain as before: nothing was touched
};

/// A registered callback. Its destruction (passive level, not from within itself) takes it
/// out; no call follows.
class SuspendCallback : public Tracked {
 public:
  virtual void destroy() = 0;

 protected:
  ~SuspendCallback() = default;
};

/// XENBUS SUSPEND. After a resume all EARLY callbacks run, then all LATE ones, each in order of
/// registration; after a cancelled suspend none does. [CONTROL-003, CONTROL-004]
class Suspend {
 public:
  static constexpr InterfaceIdentity kIdentity{"SUSPEND",
                                               guid("0554F2AF-B510-4C71-AC03-1C503E394238")};

  virtual Result<Owned<SuspendCallback>> add(SuspendPhase phase, Delegate callback) = 0;
  /// Suspends the domain and returns when it goes on and all callbacks have run. Passive level;
  /// kBusy when it is being suspended already.
  virtual Result<SuspendOutcome> trigger() = 0;
  /// How often the domain was resumed in a new one.
  virtual uint32_t count() const = 0;
  /// From the call of trigger() until the last LATE callback has run.
  virtual bool busy() const = 0;

 protected:
  ~Suspend() = default;
};

}  // namespace ringside::xenbus
