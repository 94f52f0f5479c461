#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocols/xenvif/headers.hpp"

namespace ringside::xennet {

/// The Toeplitz hash of `input` under `key`. Precondition: the key has 4 bytes more.
/// Source: Microsoft, "RSS Hashing Functions".
uint32_t toeplitz(std::span<const std::byte> key, std::span<const std::byte> input);

struct PacketHash {
  uint32_t value = 0;
  uint32_t type = 0;  ///< one of kHash*; 0: this packet has none
};

/// The hash of a packet by the best of the allowed `types`. `frame` has all `headers`;
/// `key` is one of 40 bytes.
PacketHash hash_packet(std::span<const std::byte> frame, const xenvif::Headers& headers,
                       uint32_t types, std::span<const std::byte> key);

}  // namespace ringside::xennet
