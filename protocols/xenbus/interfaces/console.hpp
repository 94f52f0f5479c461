#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "protocols/platform/delegate.hpp"
#include "protocols/platform/owned.hpp"
#include "protocols/platform/status.hpp"
#include "protocols/xenbus/interfaces/callback.hpp"
#include "protocols/xenbus/interfaces/identity.hpp"

namespace ringside::xenbus {

/// XENBUS CONSOLE: the domain's PV console. All answer kNotFound in a domain without one, kClosed
/// while it moves to another host, and kPeerViolation once its daemon broke the protocol. Any level
/// but for add_wakeup(). [CONSOLE-001, CONSOLE-002, CONSOLE-003]
class Console {
 public:
  static constexpr InterfaceIdentity kIdentity{"CONSOLE",
                                               guid("04C4F738-034A-4268-BD20-A92AC90D4F82")};

  /// Bytes that are there to be read, or that a write would take.
  virtual Result<size_t> readable() = 0;
  virtual Result<size_t> writable() = 0;
  /// As many bytes as there are, or as there is room for; 0 is no error.
  virtual Result<size_t> read(std::span<std::byte> room) = 0;
  virtual Result<size_t> write(std::string_view text) = 0;
  /// `changed` runs at dispatch level when there may be more to read or room to write; it must not
  /// add or remove wake-ups. Passive level.
  virtual Result<Owned<Callback>> add_wakeup(Delegate changed) = 0;

 protected:
  ~Console() = default;
};

}  // namespace ringside::xenbus
