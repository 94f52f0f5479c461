#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ringside::xenvbd {

enum class SenseKey : uint8_t {
  kNoSense = 0,
  kNotReady = 2,
  kMediumError = 3,
  kHardwareError = 4,
  kIllegalRequest = 5,
  kUnitAttention = 6,
  kDataProtect = 7,
};

/// The field that a device objects to.
struct FieldPointer {
  enum class Where : uint8_t { kNowhere, kCdb, kParameters };
  static constexpr uint8_t kWholeByte = 8;

  Where where = Where::kNowhere;
  uint8_t bit = kWholeByte;  ///< the field's highest one
  uint16_t byte = 0;
  bool operator==(const FieldPointer&) const = default;
};

/// Why a command ended as it did. Source: SPC-4 4.5 and annex F.
struct Sense {
  static constexpr size_t kBytes = 18;

  SenseKey key = SenseKey::kNoSense;
  uint8_t code = 0;       ///< ADDITIONAL SENSE CODE
  uint8_t qualifier = 0;  ///< and its QUALIFIER
  FieldPointer pointer{};
  bool operator==(const Sense&) const = default;

  /// Current error, fixed format. [SCSI-002]
  std::array<std::byte, kBytes> bytes() const;
};

inline constexpr Sense kBecomingReady{SenseKey::kNotReady, 0x04, 0x01};
inline constexpr Sense kMediumNotPresent{SenseKey::kNotReady, 0x3a, 0x00};
inline constexpr Sense kWriteError{SenseKey::kMediumError, 0x0c, 0x00};
inline constexpr Sense kUnrecoveredReadError{SenseKey::kMediumError, 0x11, 0x00};
inline constexpr Sense kInternalTargetFailure{SenseKey::kHardwareError, 0x44, 0x00};
inline constexpr Sense kParameterListLengthError{SenseKey::kIllegalRequest, 0x1a, 0x00};
inline constexpr Sense kInvalidOpcode{SenseKey::kIllegalRequest, 0x20, 0x00};
inline constexpr Sense kLbaOutOfRange{SenseKey::kIllegalRequest, 0x21, 0x00};
inline constexpr Sense kLogicalUnitNotSupported{SenseKey::kIllegalRequest, 0x25, 0x00};
inline constexpr Sense kSavingNotSupported{SenseKey::kIllegalRequest, 0x39, 0x00};
inline constexpr Sense kRemovalPrevented{SenseKey::kIllegalRequest, 0x53, 0x02};
inline constexpr Sense kMediumMayHaveChanged{SenseKey::kUnitAttention, 0x28, 0x00};
inline constexpr Sense kCapacityChanged{SenseKey::kUnitAttention, 0x2a, 0x09};
inline constexpr Sense kWriteProtected{SenseKey::kDataProtect, 0x27, 0x00};

/// INVALID FIELD IN CDB: the field that begins at `byte`, or at `bit` in it. [SCSI-003]
constexpr Sense invalid_cdb(size_t byte, uint8_t bit = FieldPointer::kWholeByte) {
  return {SenseKey::kIllegalRequest,
          0x24,
          0x00,
          {FieldPointer::Where::kCdb, bit, static_cast<uint16_t>(byte)}};
}
/// INVALID FIELD IN PARAMETER LIST, likewise.
constexpr Sense invalid_parameter(size_t byte, uint8_t bit = FieldPointer::kWholeByte) {
  return {SenseKey::kIllegalRequest,
          0x26,
          0x00,
          {FieldPointer::Where::kParameters, bit, static_cast<uint16_t>(byte)}};
}

}  // namespace ringside::xenvbd
