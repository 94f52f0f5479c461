#pragma once

#include <string_view>

#include "protocols/xenbus/interfaces/identity.hpp"

namespace ringside::xenbus {

/// XENFILT EMULATED: whether the system has an emulated device, which a PV device may be another
/// way to. Passive level.
class Emulated {
 public:
  static constexpr InterfaceIdentity kIdentity{"EMULATED",
                                               guid("959027A1-FCCE-4E78-BCF4-637384F499C5")};

  /// By the ids of Plug and Play, such as "PCI\VEN_8086&DEV_7010" and "00&08"; upper and lower
  /// case are the same.
  virtual bool is_device_present(std::string_view device, std::string_view instance) const = 0;
  /// By the numbers of the port driver.
  virtual bool is_disk_present(unsigned controller, unsigned target, unsigned lun) const = 0;

 protected:
  ~Emulated() = default;
};

}  // namespace ringside::xenbus
