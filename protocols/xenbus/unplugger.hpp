#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/interfaces/unplug.hpp"
#include "protocols/xenbus/platform_ports.hpp"

namespace ringside::xenbus {

/// Takes away the emulated devices that PV drivers stand in for.
///
/// Settings: Unplug\DISKS and Unplug\NICS count who asked; Enum\VBD and Enum\VIF tell how many
/// devices of the class a driver is installed for; ForceUnplug does not look at those;
/// BootEmulated keeps the primary disk; UnplugProduct and UnplugBuild are what the host is told;
/// RequestReboot is for the service that talks to the user.
class Unplugger final : public Unplug {
 public:
  static constexpr uint16_t kExperimental = 0xffff;  ///< of the product numbers, for no release

  explicit Unplugger(platform::Platform& platform) : platform_(platform), ports_(platform) {}

  /// kAccessDenied when the host refuses these drivers. Without the platform device it is kOk, and
  /// all stays as it is.
  Status start();
  /// The devices of the new host. EARLY.
  void resume();
  PlatformPorts& ports() { return ports_; }

  Status request(EmulatedKind kind, bool make) override;
  bool requested(EmulatedKind kind) override;
  bool boot_emulated() override;
  Status request_reboot() override;

 private:
  Status unplug();
  /// What there is a driver for, and somebody asked to have away; bits of PlatformPorts.
  uint16_t wanted();

  platform::Platform& platform_;
  PlatformPorts ports_;
  uint16_t product_ = kExperimental;
  uint32_t build_ = 0;
  uint16_t mask_ = 0;
  std::atomic<bool> changing_ = false;
};

}  // namespace ringside::xenbus
