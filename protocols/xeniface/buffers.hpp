#pragma once

#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "protocols/platform/status.hpp"
#include "protocols/xeniface/caller.hpp"

namespace ringside::xeniface {

/// The structure at the front of the input. Precondition: the input is that long.
template <typename T>
T input_of(const Request& request) {
  T value;
  std::memcpy(&value, request.buffer.data(), sizeof(T));
  return value;
}

/// Puts `value` where the output goes. Precondition: the output is that long.
template <typename T>
Answer answer_with(const Request& request, const T& value) {
  std::memcpy(request.buffer.data(), &value, sizeof(T));
  return {NtStatus::kSuccess, sizeof(T)};
}

/// IFACE-003: lengths are those of the structures, no more and no less.
template <typename T>
bool lengths_are(const Request& request, size_t output) {
  return request.input_length == sizeof(T) && request.output_length == output;
}

/// A handle as Windows widens those of 32 bits, with the sign.
constexpr UserHandle widen(uint32_t handle) {
  return static_cast<UserHandle>(int64_t{static_cast<int32_t>(handle)});
}
constexpr UserHandle widen(uint64_t handle) { return handle; }

/// What a text may hold besides printable ASCII.
enum class Lines : uint8_t { kOne, kMany };

/// The text up to the first NUL, or nothing when no NUL ends it or a byte is not printable.
inline std::optional<std::string_view> text_of(std::span<const std::byte> bytes,
                                               Lines lines = Lines::kOne) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (byte == 0) return std::string_view(reinterpret_cast<const char*>(bytes.data()), i);
    const bool line_end = byte == '\n' || byte == '\r';
    if (line_end && lines == Lines::kMany) continue;
    if (byte < 0x20 || byte > 0x7e) return {};
  }
  return {};
}

}  // namespace ringside::xeniface
