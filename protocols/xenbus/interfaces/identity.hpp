#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringside::xenbus {

/// What names an interface between drivers that were built apart: a GUID.
struct InterfaceId {
  /// The fields in the order of the text form, each of it most significant byte first.
  std::array<uint8_t, 16> bytes{};
  friend constexpr bool operator==(const InterfaceId&, const InterfaceId&) = default;
};

/// Not for a constant expression, so that guid() of what is no GUID is none.
void malformed_guid();

/// Of the text form 8-4-4-4-12; anything else does not compile.
consteval InterfaceId guid(std::string_view text) {
  InterfaceId id;
  size_t digits = 0;
  for (const char c : text) {
    if (c == '-') continue;
    const int value = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (value < 0 || digits == 2 * id.bytes.size()) malformed_guid();
    uint8_t& byte = id.bytes[digits++ / 2];
    byte = static_cast<uint8_t>(byte << 4 | value);
  }
  if (digits != 2 * id.bytes.size()) malformed_guid();
  return id;
}

/// An interface as its header declares it.
struct InterfaceIdentity {
  const char* name = "";
  InterfaceId id;
};

/// Versions of one interface, both ends included.
struct VersionRange {
  uint16_t lowest = 0;
  uint16_t highest = 0;
  constexpr bool contains(uint16_t version) const {
    return lowest <= version && version <= highest;
  }
};

}  // namespace ringside::xenbus
