#include "protocols/xenvif/checksum.hpp"

#include <bit>
#include <cstring>

namespace ringside::xenvif {
namespace {

uint16_t fold(uint64_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

uint16_t swap_bytes(uint16_t value) { return static_cast<uint16_t>(value << 8 | value >> 8); }

}  // namespace

void ChecksumSum::add(std::span<const std::byte> bytes) {
  // RFC 1071: the sum may be taken in any byte order and swapped at the end, so whole
  // native words are added up and only their total is turned around.
  uint64_t native = 0;
  size_t i = 0;
  for (; i + 4 <= bytes.size(); i += 4) {
    uint32_t word;
    std::memcpy(&word, &bytes[i], sizeof(word));
    native += word;
  }
  for (; i + 2 <= bytes.size(); i += 2) {
    uint16_t word;
    std::memcpy(&word, &bytes[i], sizeof(word));
    native += word;
  }
  if (i < bytes.size()) {
    const std::byte pair[2] = {bytes[i], std::byte{0}};
    uint16_t word;
    std::memcpy(&word, pair, sizeof(word));
    native += word;
  }
  uint16_t sum = fold(native);
  if constexpr (std::endian::native == std::endian::little) sum = swap_bytes(sum);
  // A run that starts at an odd place adds its bytes to the other halves of the words.
  sum_ += odd_ ? swap_bytes(sum) : sum;
  odd_ ^= (bytes.size() & 1) != 0;
}

uint16_t ChecksumSum::folded() const { return fold(sum_); }

ChecksumSum pseudo_header(std::span<const std::byte> frame, const Headers& headers,
                          uint32_t length) {
  ChecksumSum sum;
  if (headers.ip_version == 4) {
    sum.add(frame.subspan(headers.network + 12, 8));
  } else {
    sum.add(frame.subspan(headers.network + 8, 32));
  }
  sum.add_word(static_cast<uint16_t>(length >> 16));
  sum.add_word(static_cast<uint16_t>(length & 0xffff));
  sum.add_word(headers.protocol);
  return sum;
}

void blank_checksum(std::span<std::byte> frame, const Headers& headers, uint32_t length) {
  write_be16(&frame[headers.checksum_offset()], pseudo_header(frame, headers, length).folded());
}

uint16_t finish_checksum(const ChecksumSum& sum, uint8_t protocol) {
  const auto value = static_cast<uint16_t>(~sum.folded());
  // NETIF-TX-050: a UDP checksum of zero would say that there is none.
  return value == 0 && protocol == kProtocolUdp ? uint16_t{0xffff} : value;
}

std::optional<uint32_t> transport_length(std::span<const std::byte> frame, const Headers& headers,
                                         uint32_t total) {
  constexpr uint32_t kIpv6Header = 40;
  constexpr uint32_t kUdpHeader = 8;
  const std::byte* network = &frame[headers.network];
  uint32_t datagram = total - headers.network;
  if (headers.ip_version == 4) {
    if (const uint16_t said = read_be16(network + 2); said != 0) datagram = said;
  } else if (const uint16_t said = read_be16(network + 4); said != 0) {
    datagram = said + kIpv6Header;
  }
  const uint32_t before = headers.transport - headers.network;
  if (headers.network + datagram > total || datagram < before + kUdpHeader) return {};
  return datagram - before;
}

bool fill_checksum(std::span<std::byte> frame, const Headers& headers) {
  const auto length = transport_length(frame, headers, static_cast<uint32_t>(frame.size()));
  if (!length || *length + headers.transport < headers.length) return false;
  write_be16(&frame[headers.checksum_offset()], 0);
  ChecksumSum sum = pseudo_header(frame, headers, *length);
  sum.add(frame.subspan(headers.transport, *length));
  write_be16(&frame[headers.checksum_offset()], finish_checksum(sum, headers.protocol));
  return true;
}

void fill_ipv4_header_checksum(std::span<std::byte> frame, const Headers& headers) {
  const size_t size =
      static_cast<size_t>(std::to_integer<unsigned>(frame[headers.network]) & 0xf) * 4;
  std::byte* field = &frame[headers.network + 10];
  write_be16(field, 0);
  ChecksumSum sum;
  sum.add(frame.subspan(headers.network, size));
  write_be16(field, static_cast<uint16_t>(~sum.folded()));
}

}  // namespace ringside::xenvif
