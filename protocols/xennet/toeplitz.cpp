#include "protocols/xennet/toeplitz.hpp"

#include <array>
#include <cstring>

#include "protocols/xennet/packet_info.hpp"

namespace ringside::xennet {

uint32_t toeplitz(std::span<const std::byte> key, std::span<const std::byte> input) {
  uint32_t window = xenvif::read_be32(key.data());
  uint32_t hash = 0;
  for (size_t i = 0; i < input.size(); ++i) {
    const auto byte = std::to_integer<uint32_t>(input[i]);
    const auto incoming = std::to_integer<uint32_t>(key[i + 4]);
    for (unsigned bit = 8; bit-- > 0;) {
      if (byte >> bit & 1) hash ^= window;
      window = window << 1 | (incoming >> bit & 1);
    }
  }
  return hash;
}

PacketHash hash_packet(std::span<const std::byte> frame, const xenvif::Headers& headers,
                       uint32_t types, std::span<const std::byte> key) {
  if (headers.ip_version == 0) return {};
  const bool v4 = headers.ip_version == 4;
  const size_t addresses = v4 ? 8 : 32;
  constexpr size_t kPorts = 4;
  std::array<std::byte, 32 + kPorts> input;
  std::memcpy(input.data(), &frame[headers.network + (v4 ? 12u : 8u)], addresses);
  const uint32_t with_ports = types & (v4 ? kHashTcpIpv4 : kHashTcpIpv6);
  if (with_ports != 0 && headers.protocol == xenvif::kProtocolTcp) {
    std::memcpy(&input[addresses], &frame[headers.transport], kPorts);
    return {toeplitz(key, std::span(input).first(addresses + kPorts)), with_ports};
  }
  const uint32_t without = types & (v4 ? kHashIpv4 : kHashIpv6);
  if (without == 0) return {};
  return {toeplitz(key, std::span(input).first(addresses)), without};
}

}  // namespace ringside::xennet
