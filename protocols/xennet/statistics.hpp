#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "protocols/xenvif/vif.hpp"

namespace ringside::xennet {

using xenvif::MacAddress;

/// Whom a frame is for, by its destination address.
enum class Cast : uint8_t { kDirected, kMulticast, kBroadcast };
inline constexpr size_t kCasts = 3;

inline Cast cast_of(const MacAddress& destination) {
  if ((destination[0] & 1) == 0) return Cast::kDirected;
  for (const uint8_t byte : destination) {
    if (byte != 0xff) return Cast::kMulticast;
  }
  return Cast::kBroadcast;
}

/// Frames and bytes of one direction.
struct Traffic {
  std::array<uint64_t, kCasts> frames{};
  std::array<uint64_t, kCasts> bytes{};
  uint64_t errors = 0;     ///< frames that could not be sent, or were bad when they came
  uint64_t discards = 0;   ///< good frames given up
  uint64_t no_buffer = 0;  ///< of these, those there was no memory for

  void note(Cast cast, uint32_t length) {
    ++frames[static_cast<size_t>(cast)];
    bytes[static_cast<size_t>(cast)] += length;
  }
  void add(const Traffic& other) {
    for (size_t i = 0; i < kCasts; ++i) {
      frames[i] += other.frames[i];
      bytes[i] += other.bytes[i];
    }
    errors += other.errors;
    discards += other.discards;
    no_buffer += other.no_buffer;
  }
  uint64_t all_frames() const { return frames[0] + frames[1] + frames[2]; }
  uint64_t all_bytes() const { return bytes[0] + bytes[1] + bytes[2]; }
};

struct Statistics {
  Traffic sent;
  Traffic received;
  uint64_t queued = 0;  ///< lists to send that NDIS has not got back
};

}  // namespace ringside::xennet
