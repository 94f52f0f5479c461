#include "sim/toolstack/platform_device.hpp"

#include <algorithm>

namespace ringside::sim {
namespace {

constexpr uint16_t kControl = 0x10;
constexpr uint16_t kIdentity = 0x12;
constexpr uint32_t kMagic = 0x49d2;
constexpr uint32_t kRefused = 0xd249;
constexpr uint32_t kNothing = ~0u;

constexpr uint32_t kIdeAndScsiDisks = 1u << 0;
constexpr uint32_t kAllNics = 1u << 1;
constexpr uint32_t kAuxiliaryIdeDisks = 1u << 2;
constexpr uint32_t kNvmeDisks = 1u << 3;

bool unplugged(const EmulatedDevice& device, uint32_t mask) {
  switch (device.kind) {
    case EmulatedDevice::Kind::kIdeDisk:
      return (mask & kIdeAndScsiDisks) != 0 ||
             ((mask & kAuxiliaryIdeDisks) != 0 && device.index > 0);
    case EmulatedDevice::Kind::kScsiDisk: return (mask & kIdeAndScsiDisks) != 0;
    case EmulatedDevice::Kind::kNvme: return (mask & kNvmeDisks) != 0;
    case EmulatedDevice::Kind::kNic: return (mask & kAllNics) != 0;
    case EmulatedDevice::Kind::kCdrom: return false;
  }
  return false;
}

}  // namespace

uint32_t PlatformDevice::read(uint16_t port, unsigned bytes) {
  const std::lock_guard lock(mutex_);
  if (!config_.present) return kNothing;
  if (port == kControl && bytes == 2) return refuses() ? kRefused : kMagic;
  if (port == kIdentity && bytes == 1) return config_.version;
  ++strange_;
  return kNothing;
}

void PlatformDevice::write(uint16_t port, unsigned bytes, uint32_t value) {
  const std::lock_guard lock(mutex_);
  if (!config_.present) {
    ++strange_;
  } else if (port == kIdentity && bytes == 2) {
    product_ = static_cast<uint16_t>(value);
  } else if (port == kControl && bytes == 4) {
    build_ = value;
  } else if (port == kControl && bytes == 2) {
    unplug(value);
  } else if (port == kIdentity && bytes == 1) {
    log_byte(static_cast<char>(value));
  } else {
    ++strange_;
  }
}

std::vector<EmulatedDevice> PlatformDevice::devices() const {
  const std::lock_guard lock(mutex_);
  return devices_;
}

std::optional<std::pair<uint16_t, uint32_t>> PlatformDevice::driver() const {
  const std::lock_guard lock(mutex_);
  if (!product_ || !build_) return std::nullopt;
  return std::pair{*product_, *build_};
}

std::vector<std::string> PlatformDevice::log() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

unsigned PlatformDevice::strange_accesses() const {
  const std::lock_guard lock(mutex_);
  return strange_;
}

bool PlatformDevice::refuses() const {
  if (!product_ || !build_) return false;
  return std::ranges::find(config_.refused_products, *product_) != config_.refused_products.end() ||
         std::ranges::find(config_.refused_builds, std::pair{*product_, *build_}) !=
             config_.refused_builds.end();
}

void PlatformDevice::unplug(uint32_t mask) {
  std::erase_if(devices_, [&](const EmulatedDevice& device) { return unplugged(device, mask); });
}

void PlatformDevice::log_byte(char byte) {
  constexpr size_t kLongestLine = 255;  // then it is broken, as QEMU does
  if (byte != '\n') line_.push_back(byte);
  if (byte == '\n' || line_.size() == kLongestLine) lines_.push_back(std::exchange(line_, {}));
}

}  // namespace ringside::sim
