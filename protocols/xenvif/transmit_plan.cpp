#include <algorithm>
#include <cstring>

#include "protocols/xenvif/checksum.hpp"
#include "protocols/xenvif/transmitter.hpp"

namespace ringside::xenvif {

bool Transmitter::peer_checksums(const Headers& headers) const {
  const BackendFeatures& features = connection_.features;
  return headers.ip_version == 4 ? features.checksum_v4 : features.checksum_v6;
}

bool Transmitter::peer_segments(GsoType type) const {
  // NETIF-TX-008: and a GSO packet is never one slot, so feature-sg is needed with it.
  const BackendFeatures& features = connection_.features;
  const Settings& settings = connection_.settings;
  if (!features.scatter_gather) return false;
  return type == GsoType::kTcpV4 ? features.gso_v4 && settings.transmit_gso_v4
                                 : features.gso_v6 && settings.transmit_gso_v6;
}

void Transmitter::pull_head(const TxPacket& packet, Head& head) {
  std::byte* to = cell(head.cell);
  const uint32_t pulled = std::min<uint32_t>(head.unpadded, kCellSize);
  Cursor(packet.fragments).copy({to, pulled});
  head.headers = parse_headers({to, pulled});
  head.checksum = packet.checksum;
  head.gso = packet.gso;
  if (connection_.hash->accepted()) head.hash = packet.hash;
  head.total = head.unpadded;
  if (head.unpadded <= kCellSize) {
    head.length = static_cast<uint16_t>(head.unpadded);
  } else {
    // NETIF-TX-027: a back end's NIC wants all protocol headers in the linear part (XSA-423).
    head.length = std::max<uint16_t>(kMinimumPull, head.headers.length);
  }
  if (head.unpadded < kMinimumFrame) {  // NETIF-TX-039
    std::memset(to + head.unpadded, 0, kMinimumFrame - head.unpadded);
    head.length = kMinimumFrame;
    head.total = kMinimumFrame;
  }
}

TxStatus Transmitter::finish_head(const TxPacket& packet, Head& head) {
  const std::span<std::byte> frame{cell(head.cell), head.length};
  if (head.gso.type != GsoType::kNone) {
    if (const TxStatus status = finish_gso(head, frame); status != TxStatus::kSent) return status;
  }
  const uint32_t link = std::max<uint32_t>(head.headers.network, kEthernetHeader);
  if (head.gso.type == GsoType::kNone && head.unpadded > link + connection_.settings.mtu) {
    return TxStatus::kOverMtu;
  }
  if (head.checksum != Checksum::kBlank) return TxStatus::kSent;
  return finish_checksum_field(packet, head, frame);
}

TxStatus Transmitter::finish_gso(Head& head, std::span<std::byte> frame) const {
  const Headers& headers = head.headers;
  const unsigned version = head.gso.type == GsoType::kTcpV4 ? 4 : 6;
  if (head.gso.size == 0 || headers.protocol != kProtocolTcp || headers.ip_version != version) {
    return TxStatus::kBadGso;
  }
  // NETIF-TX-026: each segment's checksum is made when it is cut.
  head.checksum = Checksum::kBlank;
  std::byte* network = &frame[headers.network];
  if (version == 4) {
    const auto datagram = static_cast<uint16_t>(head.unpadded - headers.network);
    if (read_be16(network + 2) != datagram) {
      write_be16(network + 2, datagram);
      fill_ipv4_header_checksum(frame, headers);
    }
  } else {
    constexpr unsigned kIpv6Header = 40;
    write_be16(network + 4, static_cast<uint16_t>(head.unpadded - headers.network - kIpv6Header));
  }
  if (head.unpadded - headers.length <= head.gso.size) {
    head.gso = {};
    return TxStatus::kSent;
  }
  if (headers.length - headers.network >= connection_.settings.mtu) return TxStatus::kBadHeaders;
  return TxStatus::kSent;
}

TxStatus Transmitter::finish_checksum_field(const TxPacket& packet, Head& head,
                                            std::span<std::byte> frame) {
  const Headers& headers = head.headers;
  if (headers.protocol == 0) return TxStatus::kNoChecksum;  // NETIF-TX-050
  const auto length = transport_length(frame, headers, head.unpadded);
  if (!length || *length + headers.transport < headers.length) return TxStatus::kBadHeaders;
  if (peer_checksums(headers) || head.gso.type != GsoType::kNone) {
    blank_checksum(frame, headers, *length);  // NETIF-TX-025
    return TxStatus::kSent;
  }
  // NETIF-NEG-007: the peer does no checksums of this kind, so it is made here.
  std::byte* field = &frame[headers.checksum_offset()];
  write_be16(field, 0);
  ChecksumSum sum = pseudo_header(frame, headers, *length);
  const uint32_t in_head = std::min<uint32_t>(*length, head.length - headers.transport);
  sum.add(frame.subspan(headers.transport, in_head));
  Cursor rest(packet.fragments);
  rest.skip(head.length);
  rest.sum(*length - in_head, sum);
  write_be16(field, finish_checksum(sum, headers.protocol));
  head.checksum = Checksum::kUnknown;
  return TxStatus::kSent;
}

Transmitter::Plan Transmitter::plan(const TxPacket& packet, const Head& head) const {
  if (head.gso.type != GsoType::kNone && !peer_segments(head.gso.type)) return Plan::kSegment;
  if (head.total == head.length) return Plan::kLinear;
  if (!connection_.features.scatter_gather) {  // NETIF-TX-009
    return head.total <= platform::kPageSize ? Plan::kOnePage : Plan::kTooLongForPeer;
  }
  // NETIF-NEG-016: pages hold more than the packet; an untrusted peer gets none of ours.
  if (connection_.settings.always_copy || !connection_.settings.trusted) {
    return head.total <= platform::kPageSize ? Plan::kOnePage : Plan::kCopy;
  }
  Cursor rest(packet.fragments);
  rest.skip(head.length);
  // NETIF-TX-001: no back end need take more slots than that.
  return 1 + rest.runs() > XEN_NETIF_NR_SLOTS_MIN ? Plan::kCopy : Plan::kGrant;
}

}  // namespace ringside::xenvif
