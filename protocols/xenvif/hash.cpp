#include "protocols/xenvif/hash.hpp"

#include <algorithm>

namespace ringside::xenvif {
namespace {

constexpr size_t kIpv4Addresses = 12;  // in its header
constexpr size_t kIpv6Addresses = 8;

bool wanted(HashTypes types, HashType type) { return (types >> static_cast<unsigned>(type)) & 1; }

}  // namespace

void Toeplitz::set_key(std::span<const std::byte> key) {
  std::array<std::byte, kMaxKey> padded{};
  std::copy(key.begin(), key.end(), padded.begin());
  // The 32 bits of the key from the current bit on.
  uint32_t window = read_be32(padded.data());
  for (size_t half = 0; half < table_.size(); ++half) {
    const auto next = std::to_integer<unsigned>(padded[half / 2 + sizeof(uint32_t)]);
    std::array<uint32_t, 4> windows{};
    for (unsigned bit = 0; bit < windows.size(); ++bit) {
      windows[bit] = window;
      const unsigned position = static_cast<unsigned>(half % 2) * 4 + bit;
      window = window << 1 | (next >> (7 - position) & 1);
    }
    for (unsigned value = 0; value < 16; ++value) {
      uint32_t& entry = table_[half][value] = 0;
      for (unsigned bit = 0; bit < windows.size(); ++bit) {
        if (value & 8u >> bit) entry ^= windows[bit];
      }
    }
  }
}

uint32_t Toeplitz::hash(std::span<const std::byte> input) const {
  uint32_t value = 0;
  for (size_t i = 0; i < input.size(); ++i) {
    const auto octet = std::to_integer<unsigned>(input[i]);
    value ^= table_[2 * i][octet >> 4] ^ table_[2 * i + 1][octet & 15];
  }
  return value;
}

HashInput hash_input(std::span<const std::byte> frame, const Headers& headers, HashTypes types) {
  HashInput input;
  if (headers.ip_version == 0) return input;
  const bool v4 = headers.ip_version == 4;
  // NETIF-CTL-031: with the ports where that is asked for and there are some.
  const HashType with_ports = v4 ? HashType::kTcpV4 : HashType::kTcpV6;
  const HashType without = v4 ? HashType::kIpv4 : HashType::kIpv6;
  if (headers.protocol == kProtocolTcp && wanted(types, with_ports)) {
    input.type = with_ports;
  } else if (wanted(types, without)) {
    input.type = without;
  } else {
    return input;
  }
  const auto append = [&](size_t offset, size_t count) {
    std::copy_n(frame.begin() + static_cast<ptrdiff_t>(offset), count,
                input.bytes.begin() + static_cast<ptrdiff_t>(input.length));
    input.length += count;
  };
  append(headers.network + (v4 ? kIpv4Addresses : kIpv6Addresses), v4 ? 8 : 32);
  if (input.type == with_ports) append(headers.transport, 4);
  return input;
}

PacketHash hash_packet(std::span<const std::byte> frame, const Headers& headers, HashTypes types,
                       const Toeplitz& toeplitz) {
  const HashInput input = hash_input(frame, headers, types);
  if (input.type == HashType::kNone) return {};
  return {input.type, toeplitz.hash(std::span(input.bytes).first(input.length))};
}

}  // namespace ringside::xenvif
