#pragma once

#include <cstdint>

#include "protocols/platform/status.hpp"
#include "protocols/xenbus/interfaces/identity.hpp"

namespace ringside::xenbus {

/// Emulated devices that a PV driver takes the place of.
enum class EmulatedKind : uint8_t { kDisks, kNics };

/// XENBUS UNPLUG. Emulated devices are taken away when the system starts, before their drivers
/// see them; what is asked for here holds from the next start on. Passive level. [UNPLUG-006]
class Unplug {
 public:
  static constexpr InterfaceIdentity kIdentity{"UNPLUG",
                                               guid("73DB6517-3D06-4937-989F-199B7501E229")};

  /// A driver takes over (`make`), or does no longer. Counted, over reboots too: kNotFound when
  /// nobody asked before, kBusy while another driver asks.
  virtual Status request(EmulatedKind kind, bool make) = 0;
  /// Whether anybody asked. Version 2.
  virtual bool requested(EmulatedKind kind) = 0;
  /// Whether the system is to start from its emulated disk, which then is never taken away.
  /// Version 3.
  virtual bool boot_emulated() = 0;
  /// Asks that the user be told to start the system again. Version 3.
  virtual Status request_reboot() = 0;

 protected:
  ~Unplug() = default;
};

}  // namespace ringside::xenbus
