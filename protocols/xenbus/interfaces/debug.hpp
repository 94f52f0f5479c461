#pragma once

#include <string_view>

#include "protocols/platform/delegate.hpp"
#include "protocols/platform/owned.hpp"
#include "protocols/platform/status.hpp"
#include "protocols/xenbus/interfaces/callback.hpp"
#include "protocols/xenbus/interfaces/identity.hpp"

namespace ringside::xenbus {

/// XENBUS DEBUG: drivers tell about themselves when the host's administrator asks (VIRQ_DEBUG, the
/// debug key q).
class Debug {
 public:
  static constexpr InterfaceIdentity kIdentity{"DEBUG",
                                               guid("0DF600AE-6B20-4227-BF94-03DA9A26A114")};

  /// `tell` runs at dispatch level, in order of registration, and calls print(); it must not add or
  /// remove callbacks. Passive level.
  virtual Result<Owned<Callback>> add(const char* name, Delegate tell) = 0;
  /// A line for this system's log and the host's. From within a callback.
  virtual void print(std::string_view line) = 0;
  /// Has everyone tell now. Any level, not from a callback.
  virtual void trigger() = 0;

 protected:
  ~Debug() = default;
};

}  // namespace ringside::xenbus
