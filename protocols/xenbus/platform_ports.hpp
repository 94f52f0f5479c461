#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/platform/platform.hpp"

namespace ringside::xenbus {

/// The I/O ports of the Xen platform device: unplug of emulated devices, and the host's log.
/// Source: docs/misc/hvm-emulated-unplug.pandoc. Any level.
class PlatformPorts {
 public:
  /// What unplug() takes away; CD-ROMs never are. [UNPLUG-004]
  static constexpr uint16_t kIdeAndScsiDisks = 1u << 0;
  static constexpr uint16_t kAllNics = 1u << 1;
  static constexpr uint16_t kAuxiliaryIdeDisks = 1u << 2;  ///< all but the primary master
  static constexpr uint16_t kNvmeDisks = 1u << 3;

  explicit PlatformPorts(platform::Platform& platform) : platform_(platform) {}

  /// Finds the device and tells it who is there: kNotFound when there is none, kAccessDenied when
  /// the host refuses such drivers. Nothing else does anything before it was kOk.
  /// [UNPLUG-001, UNPLUG-002, UNPLUG-003]
  Status open(uint16_t product, uint32_t build);
  /// Takes emulated devices away, until the next reset.
  void unplug(uint16_t mask);
  /// One line for the host's log. [UNPLUG-005]
  void log(std::string_view line);

 private:
  static constexpr uint16_t kControl = 0x10;
  static constexpr uint16_t kIdentity = 0x12;
  static constexpr uint16_t kMagic = 0x49d2;

  bool magic() { return platform_.read_port(kControl, 2) == kMagic; }

  platform::Platform& platform_;
  bool open_ = false;
};

}  // namespace ringside::xenbus
