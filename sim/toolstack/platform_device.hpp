#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/machine/port_device.hpp"

namespace ringside::sim {

/// A device that QEMU emulates for a guest.
struct EmulatedDevice {
  enum class Kind : uint8_t { kIdeDisk, kScsiDisk, kNvme, kCdrom, kNic };
  Kind kind = Kind::kIdeDisk;
  unsigned index = 0;  ///< of its bus; IDE disk 0 is the primary master
  friend bool operator==(const EmulatedDevice&, const EmulatedDevice&) = default;
};

/// How a host's platform device behaves.
struct PlatformDeviceConfig {
  bool present = true;
  uint8_t version = 1;  ///< of the unplug protocol; 0 asks for no product and build number
  std::vector<uint16_t> refused_products{};
  std::vector<std::pair<uint16_t, uint32_t>> refused_builds{};  ///< product, build
};

/// QEMU's Xen platform device as seen through its I/O ports 0x10 to 0x13: the unplug of emulated
/// devices and the guest's log. Source: docs/misc/hvm-emulated-unplug.pandoc
class PlatformDevice final : public PortDevice {
 public:
  explicit PlatformDevice(PlatformDeviceConfig config, std::vector<EmulatedDevice> devices)
      : config_(std::move(config)), devices_(std::move(devices)) {}

  uint32_t read(uint16_t port, unsigned bytes) override;
  void write(uint16_t port, unsigned bytes, uint32_t value) override;

  /// What it was made with, and is after a reset.
  std::vector<EmulatedDevice> devices() const;
  /// What the guest said it is; nothing before it did.
  std::optional<std::pair<uint16_t, uint32_t>> driver() const;
  /// Lines that the guest wrote to the log port.
  std::vector<std::string> log() const;
  /// Accesses that the protocol does not know.
  unsigned strange_accesses() const;

 private:
  bool refuses() const;
  void unplug(uint32_t mask);
  void log_byte(char byte);

  const PlatformDeviceConfig config_;
  mutable std::mutex mutex_;  // guards the rest
  std::vector<EmulatedDevice> devices_;
  std::optional<uint16_t> product_;
  std::optional<uint32_t> build_;
  std::string line_;
  std::vector<std::string> lines_;
  unsigned strange_ = 0;
};

}  // namespace ringside::sim
