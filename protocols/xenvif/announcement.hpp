#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "protocols/xenvif/packet.hpp"

namespace ringside::xenvif {

using Ipv4Address = std::array<uint8_t, 4>;
using Ipv6Address = std::array<uint8_t, 16>;

/// An Ethernet frame by which switches and neighbours learn where an address is now.
struct Announcement {
  std::array<std::byte, 86> bytes{};
  size_t length = 0;

  std::span<const std::byte> frame() const { return std::span(bytes).first(length); }
};

/// A gratuitous ARP request. Source: RFC 5227, 3.
Announcement announce(const MacAddress& mac, const Ipv4Address& address);
/// An unsolicited neighbour advertisement to all nodes. Source: RFC 4861, 7.2.6.
Announcement announce(const MacAddress& mac, const Ipv6Address& address);

}  // namespace ringside::xenvif
