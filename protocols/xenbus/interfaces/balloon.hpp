#pragma once

#include <cstdint>

#include "protocols/platform/status.hpp"
#include "protocols/xenbus/interfaces/identity.hpp"

namespace ringside::xenbus {

/// XENBUS BALLOON: pages of the domain that Xen has for the time being.
class Balloon {
 public:
  static constexpr InterfaceIdentity kIdentity{"BALLOON",
                                               guid("D92AA810-BECB-4BD5-A3DA-BD03C135A297")};

  /// Goes on towards `pages` in the balloon and keeps what it achieves: kOk once there are as
  /// many; kAgain when there is more to do at once; kNoMemory when the guest or Xen has no memory
  /// to give at present; kBusy while somebody else adjusts it or the domain is being suspended;
  /// kInvalidArgument for more than 32 bits of them. Passive level. [MEMORY-001, MEMORY-003,
  /// MEMORY-006]
  virtual Status adjust(uint64_t pages) = 0;
  /// Pages in the balloon now.
  virtual uint64_t size() const = 0;

 protected:
  ~Balloon() = default;
};

}  // namespace ringside::xenbus
