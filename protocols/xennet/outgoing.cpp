#include "protocols/xennet/outgoing.hpp"

#include <algorithm>
#include <cstring>

#include "protocols/xennet/packet_info.hpp"
#include "protocols/xenvif/checksum.hpp"
#include "protocols/xenvif/headers.hpp"

namespace ringside::xennet {
namespace {

using xenvif::Fragment;
using xenvif::Headers;
using xenvif::kEthernetHeader;
using xenvif::kVlanTag;

constexpr size_t kAddresses = 12;  ///< of an Ethernet header, before its type
constexpr uint16_t kTypeVlan = 0x8100;
constexpr uint32_t kChecksums = kSendTcpChecksum | kSendUdpChecksum | kSendIpHeaderChecksum;

/// XENNET-003: what the out-of-band word says of the headers has to be so.
bool checksum_fits(uint32_t word, const Headers& headers, uint16_t tag) {
  if ((word & kSendIpv4) && headers.ip_version != 4) return false;
  if ((word & kSendIpv6) && headers.ip_version != 6) return false;
  if ((word & kSendIpHeaderChecksum) && headers.ip_version != 4) return false;
  const bool tcp = (word & kSendTcpChecksum) != 0;
  if (tcp && (word & kSendUdpChecksum)) return false;
  if (!tcp) {
    return (word & kSendUdpChecksum) == 0 || headers.protocol == xenvif::kProtocolUdp;
  }
  const uint32_t offset = checksum_tcp_offset(word);
  return headers.protocol == xenvif::kProtocolTcp &&
         (offset == 0 || offset + tag == headers.transport);
}

/// XENNET-004, the same for a large send.
bool large_send_fits(uint32_t word, const Headers& headers, uint16_t tag, uint32_t total) {
  const unsigned version = (word & kLargeSendIpv6) ? 6 : 4;
  const uint32_t mss = large_send_mss(word);
  const uint32_t offset = large_send_tcp_offset(word);
  return (word & kLargeSendV2) && mss <= 0xffff && headers.protocol == xenvif::kProtocolTcp &&
         headers.ip_version == version && total > headers.length &&
         (offset == 0 || offset + tag == headers.transport);
}

/// Puts a tag between addresses and type of the `length` bytes in `head`. [XENNET-002]
void insert_tag(std::span<std::byte> head, size_t length, uint16_t tag) {
  std::memmove(&head[kAddresses + kVlanTag], &head[kAddresses], length - kAddresses);
  xenvif::write_be16(&head[kAddresses], kTypeVlan);
  xenvif::write_be16(&head[kAddresses + 2], tag);
}

/// Makes in `head` the headers that go over the wire and tells `packet` what XENVIF has to do.
/// `cut` is how many of the packet's own bytes they stand for.
NdisStatus make_head(const NetBufferList& from, const NetBuffer& buffer, std::span<std::byte> head,
                     xenvif::TxPacket& packet, Fragment& made, uint32_t& cut) {
  const uint16_t tag = from.vlan == 0 ? uint16_t{0} : kVlanTag;
  MdlCursor cursor(buffer);
  size_t length = cursor.copy(head.first(std::min<size_t>(buffer.length, head.size() - tag)));
  if (length < kEthernetHeader) return NdisStatus::kInvalidPacket;
  if (tag != 0) insert_tag(head, length, vlan_to_tag(from.vlan));
  length += tag;
  const Headers headers = xenvif::parse_headers(head.first(length));
  if (!checksum_fits(from.checksum, headers, tag)) return NdisStatus::kInvalidPacket;
  if (from.checksum & (kSendTcpChecksum | kSendUdpChecksum)) {
    packet.checksum = xenvif::Checksum::kBlank;
  }
  if (const uint32_t mss = large_send_mss(from.large_send); mss != 0) {
    if (!large_send_fits(from.large_send, headers, tag, buffer.length + tag)) {
      return NdisStatus::kInvalidPacket;
    }
    packet.checksum = xenvif::Checksum::kBlank;
    packet.gso = {headers.ip_version == 4 ? xenvif::GsoType::kTcpV4 : xenvif::GsoType::kTcpV6,
                  static_cast<uint16_t>(mss)};
  }
  if ((from.checksum & kSendIpHeaderChecksum) || (packet.gso.type == xenvif::GsoType::kTcpV4)) {
    xenvif::fill_ipv4_header_checksum(head, headers);
  }
  made = {head.data(), 0, 0, headers.length};
  cut = headers.length - uint32_t{tag};
  return NdisStatus::kSuccess;
}

}  // namespace

Fragment MdlCursor::run(uint32_t limit) {
  while (mdl_ != nullptr && offset_ >= mdl_->length) {
    offset_ -= mdl_->length;
    mdl_ = mdl_->next;
  }
  if (mdl_ == nullptr || limit == 0) return {};
  const auto start = reinterpret_cast<uintptr_t>(mdl_->address) % platform::kPageSize;
  const size_t page = (start + offset_) / platform::kPageSize;
  const auto in_page = static_cast<uint16_t>((start + offset_) % platform::kPageSize);
  const uint32_t length = std::min(
      {static_cast<uint32_t>(platform::kPageSize) - in_page, mdl_->length - offset_, limit});
  const Fragment run{mdl_->address + offset_, mdl_->frames[page], in_page,
                     static_cast<uint16_t>(length)};
  offset_ += length;
  left_ -= length;
  return run;
}

Fragment MdlCursor::next() { return run(left_); }

size_t MdlCursor::copy(std::span<std::byte> to) {
  size_t done = 0;
  while (done < to.size()) {
    const Fragment piece = run(static_cast<uint32_t>(std::min<size_t>(to.size() - done, left_)));
    if (piece.length == 0) break;
    std::memcpy(&to[done], piece.address, piece.length);
    done += piece.length;
  }
  return done;
}

void MdlCursor::skip(uint32_t bytes) {
  while (bytes > 0) {
    const Fragment piece = run(std::min(bytes, left_));
    if (piece.length == 0) return;
    bytes -= piece.length;
  }
}

NdisStatus Outgoing::build(platform::Platform& platform, const NetBufferList& from,
                           const NetBuffer& buffer, xenvif::TxPacket& packet) {
  packet = {};
  MacAddress destination{};
  if (buffer.length < kEthernetHeader || MdlCursor(buffer).copy(std::as_writable_bytes(
                                             std::span(destination))) != destination.size()) {
    return NdisStatus::kInvalidPacket;
  }
  cast = cast_of(destination);
  length = buffer.length;
  Fragment made;
  MdlCursor rest(buffer);
  if ((from.checksum & kChecksums) || large_send_mss(from.large_send) != 0 || from.vlan != 0) {
    uint32_t cut = 0;
    const NdisStatus status = make_head(from, buffer, head, packet, made, cut);
    if (status != NdisStatus::kSuccess) return status;
    rest.skip(cut);
  }
  size_t pieces = made.length != 0 ? 1 : 0;
  for (MdlCursor ahead = rest; ahead.next().length != 0;) ++pieces;
  std::span<Fragment> to = fragments;
  if (pieces > kInlineFragments) {
    auto longer = platform::Array<Fragment>::create(platform, pieces);
    if (!longer) return NdisStatus::kResources;
    more = *std::move(longer);
    to = more.span();
  }
  size_t count = 0;
  if (made.length != 0) to[count++] = made;
  while (count < pieces) to[count++] = rest.next();
  // XENNET-001: a packet is as long as it says, or it is none.
  if (rest.left() != 0) return NdisStatus::kInvalidPacket;
  packet.fragments = to.first(count);
  return NdisStatus::kSuccess;
}

uint32_t flow_hash(const NetBufferList& list) {
  if (list.hash_info != 0) return list.hash_value;
  if (list.first == nullptr) return 0;
  std::array<std::byte, 128> head;
  const size_t length = MdlCursor(*list.first).copy(head);
  const Headers headers = xenvif::parse_headers({head.data(), length});
  if (headers.ip_version == 0) return 0;
  const bool v4 = headers.ip_version == 4;
  const size_t first = headers.network + (v4 ? 12u : 8u);
  uint32_t hash = 0;
  for (size_t i = 0; i < (v4 ? 8u : 32u); i += 4) hash ^= xenvif::read_be32(&head[first + i]);
  if (headers.protocol != 0) hash ^= xenvif::read_be32(&head[headers.transport]);
  // Neighbouring addresses and ports differ in a few bits only; the high half mixes them.
  return (hash * 0x9e3779b1u) >> 16;
}

}  // namespace ringside::xennet
