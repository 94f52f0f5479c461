#include "conformance/replay/packet.hpp"

#include <algorithm>

namespace ringside::conformance {
namespace {

constexpr size_t kEthernetHeader = 14;
constexpr uint16_t kVlan = 0x8100;
constexpr uint16_t kServiceVlan = 0x88a8;
constexpr uint16_t kIpv4 = 0x0800;
constexpr uint16_t kIpv6 = 0x86dd;
constexpr size_t kIpv4Header = 20;
constexpr size_t kIpv6Header = 40;
constexpr size_t kTcpHeader = 20;
constexpr size_t kUdpHeader = 8;
constexpr uint8_t kTcpNumber = 6;
constexpr uint8_t kUdpNumber = 17;
constexpr std::byte kFin{0x01};
constexpr std::byte kSyn{0x02};
constexpr std::byte kPush{0x08};
constexpr std::byte kCwr{0x80};

uint8_t at8(ByteView bytes, size_t at) { return std::to_integer<uint8_t>(bytes[at]); }
uint16_t at16(ByteView bytes, size_t at) {
  return static_cast<uint16_t>(at8(bytes, at) << 8 | at8(bytes, at + 1));
}
uint32_t at32(ByteView bytes, size_t at) {
  return uint32_t{at16(bytes, at)} << 16 | at16(bytes, at + 2);
}
void put16(std::span<std::byte> bytes, size_t at, uint16_t value) {
  bytes[at] = std::byte(value >> 8);
  bytes[at + 1] = std::byte(value & 0xff);
}
void put32(std::span<std::byte> bytes, size_t at, uint32_t value) {
  put16(bytes, at, static_cast<uint16_t>(value >> 16));
  put16(bytes, at + 2, static_cast<uint16_t>(value));
}

/// The ones' complement sum, not yet folded. An odd last byte counts as the high half.
uint64_t sum(ByteView bytes) {
  uint64_t total = 0;
  size_t i = 0;
  for (; i + 1 < bytes.size(); i += 2) total += at16(bytes, i);
  if (i < bytes.size()) total += uint64_t{at8(bytes, i)} << 8;
  return total;
}
uint16_t fold(uint64_t total) {
  while (total >> 16) total = (total & 0xffff) + (total >> 16);
  return static_cast<uint16_t>(total);
}

uint64_t pseudo_header(ByteView frame, const PacketLayout& layout) {
  const size_t addresses = layout.ipv4 ? layout.network + 12 : layout.network + 8;
  const size_t count = layout.ipv4 ? 8 : 32;
  const uint64_t number = layout.protocol == Transport::kTcp ? kTcpNumber : kUdpNumber;
  return sum(frame.subspan(addresses, count)) + number + (layout.end - layout.transport);
}

uint16_t full_checksum(ByteView frame, const PacketLayout& layout) {
  const auto segment = frame.subspan(layout.transport, layout.end - layout.transport);
  const uint64_t total =
      pseudo_header(frame, layout) + sum(segment) - at16(frame, layout.checksum_at());
  const auto checksum = static_cast<uint16_t>(~fold(total));
  return checksum == 0 && layout.protocol == Transport::kUdp ? 0xffff : checksum;
}

void find_transport(ByteView frame, PacketLayout& layout, size_t at, uint8_t number) {
  layout.transport = at;
  layout.payload = at;
  layout.protocol = Transport::kOther;
  if (layout.fragment) return;
  const size_t room = layout.end - at;
  if (number == kTcpNumber && room >= kTcpHeader) {
    const size_t length = size_t{at8(frame, at + 12)} / 16 * 4;
    if (length < kTcpHeader || length > room) return;
    layout.protocol = Transport::kTcp;
    layout.payload = at + length;
  } else if (number == kUdpNumber && room >= kUdpHeader) {
    layout.protocol = Transport::kUdp;
    layout.payload = at + kUdpHeader;
  }
}

void dissect_ipv4(ByteView frame, PacketLayout& layout) {
  const size_t at = layout.network;
  if (frame.size() < at + kIpv4Header || at8(frame, at) >> 4 != 4) return;
  const size_t header = size_t{at8(frame, at)} % 16 * 4;
  const size_t total = at16(frame, at + 2);
  if (header < kIpv4Header || total < header || at + total > frame.size()) return;
  layout.ipv4 = true;
  layout.end = at + total;
  layout.fragment = (at16(frame, at + 6) & 0x3fff) != 0;
  find_transport(frame, layout, at + header, at8(frame, at + 9));
}

bool is_extension(uint8_t number) {
  return number == 0 || number == 43 || number == 44 || number == 60;
}

void dissect_ipv6(ByteView frame, PacketLayout& layout) {
  constexpr uint8_t kFragmentHeader = 44;
  const size_t start = layout.network;
  if (frame.size() < start + kIpv6Header || at8(frame, start) >> 4 != 6) return;
  const size_t end = start + kIpv6Header + at16(frame, start + 4);
  if (end > frame.size()) return;
  layout.ipv6 = true;
  layout.end = end;
  uint8_t next = at8(frame, start + 6);
  size_t at = start + kIpv6Header;
  while (is_extension(next) && at + 8 <= end) {
    const bool fragment = next == kFragmentHeader;
    layout.fragment |= fragment;
    next = at8(frame, at);
    at += fragment ? 8 : 8 + size_t{at8(frame, at + 1)} * 8;
  }
  if (at > end) {
    layout.protocol = Transport::kOther;
    return;
  }
  find_transport(frame, layout, at, next);
}

void set_ip_length(std::span<std::byte> frame, const PacketLayout& layout) {
  const size_t at = layout.network;
  if (layout.ipv6) {
    put16(frame, at + 4, static_cast<uint16_t>(layout.end - at - kIpv6Header));
    return;
  }
  put16(frame, at + 2, static_cast<uint16_t>(layout.end - at));
  put16(frame, at + 10, 0);
  const size_t header = size_t{at8(frame, at)} % 16 * 4;
  put16(frame, at + 10, static_cast<uint16_t>(~fold(sum(frame.subspan(at, header)))));
}

}  // namespace

PacketLayout dissect(ByteView frame) {
  PacketLayout layout;
  layout.end = frame.size();
  size_t at = kEthernetHeader - 2;
  while (at + 2 <= frame.size()) {
    const uint16_t type = at16(frame, at);
    at += 2;
    if (type == kVlan || type == kServiceVlan) {
      at += 2;
      continue;
    }
    layout.network = at;
    if (type == kIpv4) dissect_ipv4(frame, layout);
    if (type == kIpv6) dissect_ipv6(frame, layout);
    break;
  }
  return layout;
}

ChecksumState checksum_state(ByteView frame, const PacketLayout& layout) {
  if (!layout.has_checksum()) return ChecksumState::kNone;
  const uint16_t found = at16(frame, layout.checksum_at());
  if (found == 0 && layout.protocol == Transport::kUdp) return ChecksumState::kNone;
  if (found == full_checksum(frame, layout)) return ChecksumState::kFull;
  if (found == fold(pseudo_header(frame, layout))) return ChecksumState::kPartial;
  return ChecksumState::kWrong;
}

void complete_checksum(std::span<std::byte> frame, const PacketLayout& layout) {
  put16(frame, layout.checksum_at(), full_checksum(frame, layout));
}

void leave_checksum_partial(std::span<std::byte> frame, const PacketLayout& layout) {
  put16(frame, layout.checksum_at(), fold(pseudo_header(frame, layout)));
}

std::optional<uint16_t> mss_option(ByteView frame, const PacketLayout& layout) {
  constexpr uint8_t kEnd = 0;
  constexpr uint8_t kNothing = 1;
  constexpr uint8_t kMss = 2;
  if (!layout.tcp() || (frame[layout.transport + 13] & kSyn) == std::byte{0}) return {};
  for (size_t at = layout.transport + kTcpHeader; at < layout.payload;) {
    const uint8_t kind = at8(frame, at);
    if (kind == kEnd) break;
    if (kind == kNothing) {
      ++at;
      continue;
    }
    if (at + 1 >= layout.payload) break;
    const size_t length = at8(frame, at + 1);
    if (length < 2 || at + length > layout.payload) break;
    if (kind == kMss && length == 4) return at16(frame, at + 2);
    at += length;
  }
  return {};
}

ByteView tcp_payload(ByteView frame, const PacketLayout& layout) {
  return frame.subspan(layout.payload, layout.end - layout.payload);
}

std::vector<Bytes> segment_tcp(ByteView frame, const PacketLayout& layout, size_t mss) {
  const auto payload = tcp_payload(frame, layout);
  const uint32_t sequence = at32(frame, layout.transport + 4);
  std::vector<Bytes> segments;
  for (size_t at = 0; at == 0 || at < payload.size(); at += mss) {
    const auto part = payload.subspan(at, std::min(mss, payload.size() - at));
    Bytes segment(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(layout.payload));
    segment.insert(segment.end(), part.begin(), part.end());
    PacketLayout cut = layout;
    cut.end = segment.size();
    put32(segment, layout.transport + 4, sequence + static_cast<uint32_t>(at));
    std::byte& flags = segment[layout.transport + 13];
    if (at + part.size() < payload.size()) flags &= ~(kFin | kPush);
    if (at != 0) flags &= ~kCwr;
    if (layout.ipv4) {
      const auto id = static_cast<uint16_t>(at16(frame, layout.network + 4) + segments.size());
      put16(segment, layout.network + 4, id);
    }
    set_ip_length(segment, cut);
    complete_checksum(segment, cut);
    segments.push_back(std::move(segment));
  }
  return segments;
}

}  // namespace ringside::conformance
