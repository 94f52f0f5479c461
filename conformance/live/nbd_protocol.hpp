#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

/// The NBD protocol as far as the server speaks it. Source: the NBD project's doc/proto.md.
namespace ringside::conformance::nbd {

inline constexpr uint64_t kMagic = 0x4e42444d41474943;  // "NBDMAGIC"
inline constexpr uint64_t kOptionMagic = 0x49484156454f5054;
inline constexpr uint64_t kOptionReplyMagic = 0x0003e889045565a9;
inline constexpr uint32_t kRequestMagic = 0x25609513;
inline constexpr uint32_t kReplyMagic = 0x67446698;

// Of both sides in the handshake.
inline constexpr uint16_t kFixedNewstyle = 1 << 0;
inline constexpr uint16_t kNoZeroes = 1 << 1;

enum Option : uint32_t {
  kOptionExportName = 1,
  kOptionAbort = 2,
  kOptionList = 3,
  kOptionInfo = 6,
  kOptionGo = 7
};

enum OptionReply : uint32_t {
  kReplyAck = 1,
  kReplyServer = 2,
  kReplyInfo = 3,
  kReplyUnsupported = 0x80000001,
  kReplyInvalid = 0x80000003,
  kReplyUnknown = 0x80000006
};

inline constexpr uint16_t kInfoExport = 0;
inline constexpr uint16_t kInfoBlockSize = 3;

enum TransmissionFlag : uint16_t {
  kHasFlags = 1 << 0,
  kReadOnly = 1 << 1,
  kSendFlush = 1 << 2,
  kSendFua = 1 << 3,
  kSendTrim = 1 << 5,
  kCanMultiConn = 1 << 8
};

enum Command : uint16_t {
  kCommandRead = 0,
  kCommandWrite = 1,
  kCommandDisconnect = 2,
  kCommandFlush = 3,
  kCommandTrim = 4
};
inline constexpr uint16_t kCommandFua = 1 << 0;

enum Error : uint32_t {
  kNoError = 0,
  kNotPermitted = 1,
  kIoError = 5,
  kNoMemory = 12,
  kInvalid = 22,
  kNoSpace = 28,
  kNotSupported = 95,
  kShutdown = 108
};

inline constexpr uint32_t kMostData = 32 << 20;  ///< of one command, as every client expects
inline constexpr uint32_t kMostOptionData = 8192;

/// Appends big-endian numbers.
template <size_t kCapacity>
class Writer {
 public:
  template <typename T>
  Writer& put(T value) {
    for (size_t i = sizeof(T); i > 0; --i) {
      bytes_[used_++] = static_cast<std::byte>(uint64_t{value} >> (8 * (i - 1)));
    }
    return *this;
  }
  std::span<const std::byte> bytes() const { return {bytes_, used_}; }

 private:
  std::byte bytes_[kCapacity];
  size_t used_ = 0;
};

/// The big-endian number at the front of `bytes`, which is taken off; there must be enough.
template <typename T>
T take(std::span<const std::byte>& bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = value << 8 | static_cast<uint64_t>(bytes[i]);
  bytes = bytes.subspan(sizeof(T));
  return static_cast<T>(value);
}

}  // namespace ringside::conformance::nbd
