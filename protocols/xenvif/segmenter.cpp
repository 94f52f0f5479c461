#include "protocols/xenvif/segmenter.hpp"

#include <algorithm>

#include "protocols/xenvif/checksum.hpp"

namespace ringside::xenvif {
namespace {

constexpr unsigned kFlagFin = 0x01;
constexpr unsigned kFlagPsh = 0x08;
constexpr unsigned kFlagCwr = 0x80;
constexpr size_t kIpv6Header = 40;

}  // namespace

uint32_t Segmenter::payload_length() const {
  return std::min(size_, total_ - headers_.length - taken_);
}

void Segmenter::stamp(std::span<std::byte> frame) {
  const uint32_t payload = payload_length();
  const bool first = taken_ == 0;
  const bool last = payload_offset() + payload == total_;
  std::byte* network = &frame[headers_.network];
  const uint32_t datagram = headers_.length - headers_.network + payload;
  if (headers_.ip_version == 4) {
    write_be16(network + 2, static_cast<uint16_t>(datagram));
    write_be16(network + 4, static_cast<uint16_t>(read_be16(network + 4) + index_));
    fill_ipv4_header_checksum(frame, headers_);
  } else {
    write_be16(network + 4, static_cast<uint16_t>(datagram - kIpv6Header));
  }
  std::byte* tcp = &frame[headers_.transport];
  write_be32(tcp + 4, read_be32(tcp + 4) + taken_);
  // FIN and PSH belong to the last byte, CWR to the first. Source: RFC 3168, RFC 9293.
  unsigned flags = std::to_integer<unsigned>(tcp[13]);
  if (!last) flags &= ~(kFlagFin | kFlagPsh);
  if (!first) flags &= ~kFlagCwr;
  tcp[13] = static_cast<std::byte>(flags);
  taken_ += payload;
  ++index_;
}

}  // namespace ringside::xenvif
