#include "protocols/xenvif/headers.hpp"

#include <cstring>

namespace ringside::xenvif {
namespace {

constexpr uint16_t kTypeIpv4 = 0x0800;
constexpr uint16_t kTypeIpv6 = 0x86dd;
constexpr uint16_t kTypeVlan = 0x8100;
constexpr uint16_t kTypeServiceVlan = 0x88a8;
constexpr unsigned kMaxVlanTags = 2;
constexpr unsigned kMaxExtensions = 8;
constexpr size_t kIpv4Header = 20;
constexpr size_t kIpv6Header = 40;
constexpr size_t kTcpHeader = 20;
constexpr size_t kUdpHeader = 8;

// IPv6 next header values. Source: RFC 8200.
constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragment = 44;
constexpr uint8_t kDestination = 60;

uint8_t byte_at(std::span<const std::byte> bytes, size_t offset) {
  return std::to_integer<uint8_t>(bytes[offset]);
}

/// Adds the TCP or UDP header at `offset`, if all of it is there.
void parse_transport(std::span<const std::byte> bytes, size_t offset, uint8_t protocol,
                     Headers& headers) {
  size_t size = kUdpHeader;
  if (protocol == kProtocolTcp) {
    if (bytes.size() < offset + kTcpHeader) return;
    size = static_cast<size_t>(byte_at(bytes, offset + 12) >> 4) * 4;
    if (size < kTcpHeader) return;
  } else if (protocol != kProtocolUdp) {
    return;
  }
  if (bytes.size() < offset + size) return;
  headers.protocol = protocol;
  headers.transport = static_cast<uint16_t>(offset);
  headers.length = static_cast<uint16_t>(offset + size);
}

void parse_ipv4(std::span<const std::byte> bytes, size_t offset, Headers& headers) {
  if (bytes.size() < offset + kIpv4Header) return;
  const uint8_t first = byte_at(bytes, offset);
  const size_t size = static_cast<size_t>(first & 0xf) * 4;
  if ((first >> 4) != 4 || size < kIpv4Header || bytes.size() < offset + size) return;
  headers.ip_version = 4;
  headers.length = static_cast<uint16_t>(offset + size);
  // More-fragments, or an offset: there is no whole TCP or UDP packet here.
  headers.fragment = (read_be16(&bytes[offset + 6]) & 0x3fff) != 0;
  if (!headers.fragment) {
    parse_transport(bytes, offset + size, byte_at(bytes, offset + 9), headers);
  }
}

void parse_ipv6(std::span<const std::byte> bytes, size_t offset, Headers& headers) {
  if (bytes.size() < offset + kIpv6Header) return;
  if ((byte_at(bytes, offset) >> 4) != 6) return;
  headers.ip_version = 6;
  uint8_t next = byte_at(bytes, offset + 6);
  offset += kIpv6Header;
  headers.length = static_cast<uint16_t>(offset);
  for (unsigned i = 0; i < kMaxExtensions; ++i) {
    if (next == kFragment) {
      headers.fragment = true;
      return;
    }
    if (next != kHopByHop && next != kRouting && next != kDestination) {
      parse_transport(bytes, offset, next, headers);
      return;
    }
    if (bytes.size() < offset + 8) return;
    const size_t size = (size_t{byte_at(bytes, offset + 1)} + 1) * 8;
    if (bytes.size() < offset + size) return;
    next = byte_at(bytes, offset);
    offset += size;
    headers.length = static_cast<uint16_t>(offset);
  }
}

}  // namespace

Headers parse_headers(std::span<const std::byte> bytes) {
  Headers headers;
  headers.length =
      static_cast<uint16_t>(bytes.size() < kEthernetHeader ? bytes.size() : kEthernetHeader);
  if (bytes.size() < kEthernetHeader) return headers;
  size_t offset = kEthernetHeader;
  uint16_t type = read_be16(&bytes[offset - 2]);
  for (unsigned tags = 0; type == kTypeVlan || type == kTypeServiceVlan; ++tags) {
    if (tags == kMaxVlanTags || bytes.size() < offset + kVlanTag) return headers;
    offset += kVlanTag;
    type = read_be16(&bytes[offset - 2]);
  }
  headers.network = static_cast<uint16_t>(offset);
  headers.length = headers.network;
  if (type == kTypeIpv4) parse_ipv4(bytes, offset, headers);
  if (type == kTypeIpv6) parse_ipv6(bytes, offset, headers);
  return headers;
}

}  // namespace ringside::xenvif
