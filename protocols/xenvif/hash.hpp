#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "protocols/xenvif/headers.hpp"
#include "protocols/xenvif/packet.hpp"

namespace ringside::xenvif {

/// Sets of XEN_NETIF_CTRL_HASH_TYPE_*: 1 << HashType.
using HashTypes = uint32_t;
inline constexpr HashTypes kAllHashTypes = 0xf;

/// The Toeplitz hash with one key.
///
/// Value ^= the 32 bits of the key from bit n on, for each bit n that is set in the input.
/// Source: xen/io/netif.h, "Toeplitz hash"; the RSS specification. [NETIF-CTL-030]
class Toeplitz {
 public:
  static constexpr size_t kMaxKey = 40;
  static constexpr size_t kMaxInput = kMaxKey - sizeof(uint32_t);

  /// Of an empty key, with which every hash is 0.
  Toeplitz() = default;
  /// Octets that are missing are zero. Precondition: no more than kMaxKey.
  void set_key(std::span<const std::byte> key);
  /// Precondition: no more than kMaxInput octets.
  uint32_t hash(std::span<const std::byte> input) const;

 private:
  /// By the position and value of each half octet of the input.
  std::array<std::array<uint32_t, 16>, 2 * kMaxInput> table_{};
};

/// What of a packet is hashed.
struct HashInput {
  HashType type = HashType::kNone;
  std::array<std::byte, Toeplitz::kMaxInput> bytes{};
  size_t length = 0;
};

/// The input of the largest of `types` that fits the packet; kNone when none does. `frame` is
/// what parse_headers() saw. [NETIF-CTL-031]
HashInput hash_input(std::span<const std::byte> frame, const Headers& headers, HashTypes types);

/// Its hash.
PacketHash hash_packet(std::span<const std::byte> frame, const Headers& headers, HashTypes types,
                       const Toeplitz& toeplitz);

}  // namespace ringside::xenvif
