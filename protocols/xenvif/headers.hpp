#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringside::xenvif {

inline constexpr uint16_t kEthernetHeader = 14;
inline constexpr uint16_t kVlanTag = 4;
inline constexpr uint16_t kMinimumFrame = 60;  ///< IEEE 802.3, without FCS
inline constexpr uint8_t kProtocolTcp = 6;
inline constexpr uint8_t kProtocolUdp = 17;

/// Where the protocol headers of an Ethernet frame lie. Offsets count from its first byte.
struct Headers {
  uint8_t ip_version = 0;  ///< 4, 6, or 0: not IP, or cut short
  uint8_t protocol = 0;    ///< kProtocolTcp, kProtocolUdp, or 0: neither, or a fragment
  bool fragment = false;   ///< an IP fragment: no offload concerns it [NETIF-TX-050]
  uint16_t network = 0;    ///< of what follows Ethernet and VLAN tags
  uint16_t transport = 0;  ///< of the TCP or UDP header, when protocol != 0
  uint16_t length = 0;     ///< of all headers recognised, at least the Ethernet header

  uint16_t checksum_offset() const {
    return static_cast<uint16_t>(transport + (protocol == kProtocolTcp ? 16 : 6));
  }
};

/// Reads the headers at the start of a frame; looks at no byte outside `bytes` and follows a
/// bounded number of VLAN tags and IPv6 extension headers.
Headers parse_headers(std::span<const std::byte> bytes);

/// Big-endian fields at any alignment. Precondition: they lie inside.
inline uint16_t read_be16(const std::byte* at) {
  return static_cast<uint16_t>(std::to_integer<unsigned>(at[0]) << 8 |
                               std::to_integer<unsigned>(at[1]));
}
inline uint32_t read_be32(const std::byte* at) {
  return static_cast<uint32_t>(read_be16(at)) << 16 | read_be16(at + 2);
}
inline void write_be16(std::byte* at, uint16_t value) {
  at[0] = static_cast<std::byte>(value >> 8);
  at[1] = static_cast<std::byte>(value & 0xff);
}
inline void write_be32(std::byte* at, uint32_t value) {
  write_be16(at, static_cast<uint16_t>(value >> 16));
  write_be16(at + 2, static_cast<uint16_t>(value & 0xffff));
}

}  // namespace ringside::xenvif
