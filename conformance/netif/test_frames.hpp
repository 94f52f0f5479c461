#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "protocols/xenvif/checksum.hpp"
#include "protocols/xenvif/headers.hpp"

namespace ringside::conformance {

using Bytes = std::vector<std::byte>;

/// `size` bytes of an Ethernet frame that is no IP; `seed` tells frames apart.
inline Bytes plain_frame(size_t size, unsigned seed = 0) {
  Bytes frame(size);
  for (size_t i = 0; i < size; ++i) frame[i] = static_cast<std::byte>(i * 31 + seed * 7 + 1);
  if (size >= 14) xenvif::write_be16(&frame[12], 0x88b5);  // local experimental
  return frame;
}

/// What a TCP or UDP test frame is made of.
struct IpFrame {
  unsigned version = 4;
  uint8_t protocol = xenvif::kProtocolTcp;
  size_t payload = 100;
  unsigned vlan_tags = 0;
  bool fragment = false;  ///< an IPv4 fragment
  unsigned seed = 0;
};

/// The frame with its checksum field zero.
inline Bytes ip_frame(const IpFrame& of) {
  const size_t ip = 14 + 4 * size_t{of.vlan_tags};
  const size_t ip_header = of.version == 4 ? 20 : 40;
  const size_t transport = of.protocol == xenvif::kProtocolTcp ? 20 : 8;
  Bytes frame(ip + ip_header + transport + of.payload);
  for (size_t i = 0; i < 12; ++i) frame[i] = static_cast<std::byte>(i + 2);
  size_t type = 12;
  for (unsigned tag = 0; tag < of.vlan_tags; ++tag, type += 4) {
    xenvif::write_be16(&frame[type], 0x8100);
    xenvif::write_be16(&frame[type + 2], 5);
  }
  xenvif::write_be16(&frame[type], of.version == 4 ? 0x0800 : 0x86dd);
  std::byte* network = &frame[ip];
  if (of.version == 4) {
    network[0] = std::byte{0x45};
    xenvif::write_be16(network + 2, static_cast<uint16_t>(frame.size() - ip));
    xenvif::write_be16(network + 4, 0x1234);
    xenvif::write_be16(network + 6, of.fragment ? 0x2000 : 0x4000);
    network[8] = std::byte{64};
    network[9] = std::byte{of.protocol};
    xenvif::write_be32(network + 12, 0x0a000001);
    xenvif::write_be32(network + 16, 0x0a000002 + of.seed);
    xenvif::Headers headers;
    headers.network = static_cast<uint16_t>(ip);
    xenvif::fill_ipv4_header_checksum(frame, headers);
  } else {
    network[0] = std::byte{0x60};
    xenvif::write_be16(network + 4, static_cast<uint16_t>(transport + of.payload));
    network[6] = std::byte{of.protocol};
    network[7] = std::byte{64};
    xenvif::write_be32(network + 8, 0xfd000001);
    xenvif::write_be32(network + 36, 2 + of.seed);
  }
  std::byte* header = network + ip_header;
  xenvif::write_be32(header, 0x04d20050);  // ports
  if (of.protocol == xenvif::kProtocolTcp) {
    xenvif::write_be32(header + 4, 1000);
    header[12] = std::byte{0x50};
    header[13] = std::byte{0x18};
  } else {
    xenvif::write_be16(header + 4, static_cast<uint16_t>(8 + of.payload));
  }
  for (size_t i = 0; i < of.payload; ++i) {
    header[transport + i] = static_cast<std::byte>(i * 17 + of.seed);
  }
  return frame;
}

/// A frame as its receiver must see it when nobody left the checksum blank.
inline Bytes with_checksum(Bytes frame) {
  const xenvif::Headers headers = xenvif::parse_headers(frame);
  (void)xenvif::fill_checksum(frame, headers);
  return frame;
}

/// A frame as the ring must carry it when the checksum is blank.
inline Bytes with_pseudo_sum(Bytes frame) {
  const xenvif::Headers headers = xenvif::parse_headers(frame);
  const auto length = xenvif::transport_length(frame, headers, static_cast<uint32_t>(frame.size()));
  xenvif::blank_checksum(frame, headers, length.value_or(0));
  return frame;
}

inline uint16_t checksum_field(const Bytes& frame) {
  return xenvif::read_be16(&frame[xenvif::parse_headers(frame).checksum_offset()]);
}

}  // namespace ringside::conformance
