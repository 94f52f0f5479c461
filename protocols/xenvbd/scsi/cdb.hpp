#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ringside::xenvbd {

/// Operation codes that a unit knows. Source: SPC-4 and SBC-3; the reservations SPC-2.
enum class Opcode : uint8_t {
  kTestUnitReady = 0x00,
  kRequestSense = 0x03,
  kRead6 = 0x08,
  kWrite6 = 0x0a,
  kInquiry = 0x12,
  kModeSelect6 = 0x15,
  kReserve6 = 0x16,
  kRelease6 = 0x17,
  kModeSense6 = 0x1a,
  kStartStopUnit = 0x1b,
  kPreventAllowMediumRemoval = 0x1e,
  kReadCapacity10 = 0x25,
  kRead10 = 0x28,
  kWrite10 = 0x2a,
  kVerify10 = 0x2f,
  kSynchronizeCache10 = 0x35,
  kUnmap = 0x42,
  kModeSelect10 = 0x55,
  kReserve10 = 0x56,
  kRelease10 = 0x57,
  kModeSense10 = 0x5a,
  kRead16 = 0x88,
  kWrite16 = 0x8a,
  kVerify16 = 0x8f,
  kSynchronizeCache16 = 0x91,
  kServiceActionIn16 = 0x9e,
  kReportLuns = 0xa0,
  kRead12 = 0xa8,
  kWrite12 = 0xaa,
  kVerify12 = 0xaf,
};

/// A big-endian number of `bytes`, at most 8 of them.
inline uint64_t load_big(std::span<const std::byte> bytes) {
  uint64_t value = 0;
  for (const std::byte byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

/// `value` over all of `bytes`, big-endian.
inline void store_big(std::span<std::byte> bytes, uint64_t value) {
  for (size_t i = bytes.size(); i > 0; --i, value >>= 8) bytes[i - 1] = std::byte(value & 0xff);
}

/// A copy of a command descriptor block; what it lacks at its end reads as 0.
class Cdb {
 public:
  static constexpr size_t kMaxLength = 16;

  explicit Cdb(std::span<const std::byte> bytes) : given_(bytes.size()) {
    std::copy_n(bytes.begin(), std::min(bytes.size(), kMaxLength), bytes_.begin());
  }

  Opcode opcode() const { return Opcode((*this)[0]); }
  uint8_t operator[](size_t at) const { return static_cast<uint8_t>(bytes_[at]); }
  bool bit(size_t at, unsigned number) const { return ((*this)[at] >> number & 1) != 0; }
  uint64_t field(size_t at, size_t length) const {
    return load_big(std::span(bytes_).subspan(at, length));
  }

  /// What its operation code's group says; 0 for a group without a fixed length.
  size_t length() const {
    constexpr std::array<uint8_t, 8> kLengths{6, 10, 10, 0, 16, 12, 0, 0};
    return kLengths[(*this)[0] >> 5];
  }
  /// The bytes that there were.
  size_t given() const { return given_; }

 private:
  std::array<std::byte, kMaxLength> bytes_{};
  size_t given_;
};

}  // namespace ringside::xenvbd
