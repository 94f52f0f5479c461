#include "conformance/rig/device_model.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

constexpr uint64_t kMark = 0x5245434f52445344;  // tells a pattern from other data

struct SectorHead {
  uint64_t mark = kMark;
  uint64_t sector = 0;
  uint64_t sequence = 0;
};

/// splitmix64: every input gives an unrelated output.
uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace

DeviceModel::DeviceModel(uint64_t bytes) : size_(bytes), unknown_(bytes / kSectorSize) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw Problem(
        fmt::format("a device of {} bytes doesn't fit into memory; use a smaller one", bytes));
  }
  content_ = static_cast<std::byte*>(memory);
}

DeviceModel::~DeviceModel() { munmap(content_, size_); }

void DeviceModel::write(uint64_t offset, std::span<const std::byte> data) {
  std::memcpy(content_ + offset, data.data(), data.size());
  const auto first = unknown_.begin() + static_cast<std::ptrdiff_t>(offset / kSectorSize);
  std::fill_n(first, data.size() / kSectorSize, false);
}

void DeviceModel::forget(uint64_t offset, uint64_t length) {
  const auto first = unknown_.begin() + static_cast<std::ptrdiff_t>(offset / kSectorSize);
  std::fill_n(first, length / kSectorSize, true);
}

std::optional<uint64_t> DeviceModel::mismatch(uint64_t offset,
                                              std::span<const std::byte> data) const {
  for (size_t at = 0; at < data.size(); at += kSectorSize) {
    if (unknown_[(offset + at) / kSectorSize]) continue;
    if (std::memcmp(content_ + offset + at, data.data() + at, kSectorSize) != 0) {
      return offset + at;
    }
  }
  return {};
}

void fill_pattern(std::span<std::byte> data, uint64_t seed, uint64_t offset, uint64_t sequence) {
  for (size_t at = 0; at < data.size(); at += kSectorSize) {
    const SectorHead head{.sector = (offset + at) / kSectorSize, .sequence = sequence};
    std::byte* out = data.data() + at;
    std::memcpy(out, &head, sizeof head);
    uint64_t state = mix(seed ^ mix(head.sector ^ mix(sequence)));
    for (size_t i = sizeof head; i < kSectorSize; i += sizeof state) {
      state = mix(state);
      std::memcpy(out + i, &state, sizeof state);
    }
  }
}

std::string describe_sector(std::span<const std::byte> sector) {
  SectorHead head;
  std::memcpy(&head, sector.data(), sizeof head);
  if (head.mark == kMark) {
    return fmt::format("the data of write {} to sector {}", head.sequence, head.sector);
  }
  const bool zero =
      std::all_of(sector.begin(), sector.end(), [](std::byte b) { return b == std::byte{0}; });
  return zero ? "zeroes" : "other data";
}

}  // namespace ringside::conformance
