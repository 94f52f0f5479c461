#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ringside::conformance {

inline constexpr uint64_t kSectorSize = 512;

/// What each sector of a block device must hold, kept by the bench beside the device.
class DeviceModel {
 public:
  /// A device of zeroes. Memory is taken only for what is written.
  explicit DeviceModel(uint64_t bytes);
  ~DeviceModel();
  DeviceModel(const DeviceModel&) = delete;
  DeviceModel& operator=(const DeviceModel&) = delete;

  uint64_t size() const { return size_; }

  /// Offsets and sizes are multiples of the sector size and inside the device.
  void write(uint64_t offset, std::span<const std::byte> data);
  /// The content is the device's choice until it is written again.
  void forget(uint64_t offset, uint64_t length);

  /// The offset of the first sector of `data` that isn't what was written last; sectors
  /// forgotten may hold anything.
  std::optional<uint64_t> mismatch(uint64_t offset, std::span<const std::byte> data) const;

 private:
  uint64_t size_;
  std::byte* content_ = nullptr;
  std::vector<bool> unknown_;
};

/// Fills `data` so that each sector tells where and by which write it was written; the rest
/// comes from `seed`. `offset` in bytes.
void fill_pattern(std::span<std::byte> data, uint64_t seed, uint64_t offset, uint64_t sequence);

/// What a sector that fill_pattern() wrote says about itself, for a message.
std::string describe_sector(std::span<const std::byte> sector);

}  // namespace ringside::conformance
