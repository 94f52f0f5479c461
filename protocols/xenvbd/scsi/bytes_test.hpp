#pragma once

#include <cstddef>
#include <cstdio>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

// What tests of SCSI write and compare.

namespace ringside::xenvbd {

inline std::vector<std::byte> bytes(std::initializer_list<unsigned> values) {
  std::vector<std::byte> result;
  for (const unsigned value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

/// "00 80 ff"
inline std::string hex(std::span<const std::byte> from) {
  std::string text;
  for (const std::byte byte : from) {
    char digits[4];
    std::snprintf(digits, sizeof(digits), " %02x", static_cast<unsigned>(byte));
    text += digits;
  }
  return text.empty() ? text : text.substr(1);
}

/// The same of `from[first]` and the `count - 1` bytes behind it.
inline std::string hex(std::span<const std::byte> from, size_t first, size_t count) {
  return hex(from.subspan(first, count));
}

}  // namespace ringside::xenvbd
