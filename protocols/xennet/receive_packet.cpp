#include <algorithm>
#include <cstring>

#include "protocols/xennet/packet_info.hpp"
#include "protocols/xennet/receiver.hpp"
#include "protocols/xenvif/checksum.hpp"
#include "protocols/xenvif/segmenter.hpp"

namespace ringside::xennet {
namespace {

using xenvif::Checksum;
using xenvif::Cursor;
using xenvif::Headers;
using xenvif::kProtocolTcp;
using xenvif::kVlanTag;

constexpr size_t kAddresses = 12;  ///< of an Ethernet header, before its type
constexpr uint16_t kTypeVlan = 0x8100;

Cursor after(std::span<const xenvif::Fragment> fragments, uint32_t bytes) {
  Cursor cursor(fragments);
  cursor.skip(bytes);
  return cursor;
}

/// The sum over a TCP or UDP packet with its pseudo header; nothing when it is cut short.
/// `head` are its first bytes, `rest` is behind them.
std::optional<xenvif::ChecksumSum> transport_sum(std::span<const std::byte> head,
                                                 const Headers& headers, Cursor rest,
                                                 uint32_t total) {
  const auto length = xenvif::transport_length(head, headers, total);
  if (!length || *length + headers.transport < headers.length) return {};
  xenvif::ChecksumSum sum = xenvif::pseudo_header(head, headers, *length);
  const uint32_t in_head =
      std::min(*length, static_cast<uint32_t>(head.size()) - headers.transport);
  sum.add(head.subspan(headers.transport, in_head));
  rest.sum(*length - in_head, sum);
  return sum;
}

bool ipv4_header_is_right(std::span<const std::byte> head, const Headers& headers) {
  const size_t size = (std::to_integer<size_t>(head[headers.network]) & 0xf) * 4;
  xenvif::ChecksumSum sum;
  sum.add(head.subspan(headers.network, size));
  return sum.folded() == 0xffff;
}

}  // namespace

Receiver::Verdict Receiver::accept(const xenvif::RxPacket& packet) {
  if (free_buffers_.empty()) return Verdict::kNoBuffer;
  const uint16_t index = free_buffers_.take();
  Incoming in;
  Verdict verdict = Verdict::kBad;
  if (take_head(packet, head_of(index), in)) {
    MacAddress destination;
    std::memcpy(destination.data(), in.head.data(), destination.size());
    in.cast = cast_of(destination);
    const bool split = in.gso.type != xenvif::GsoType::kNone && !coalesces(in);
    if (!configuration_.wants(in.cast, destination)) {
      verdict = Verdict::kUnwanted;
    } else {
      verdict = split ? show_segments(packet, in, index) : show_whole(packet, in, index);
    }
  }
  if (verdict != Verdict::kUp) free_buffers_.put(index);
  return verdict;
}

/// Copies the headers to `head` and reads them; false for a large packet that is not what it
/// says.
bool Receiver::take_head(const xenvif::RxPacket& packet, std::byte* head, Incoming& in) const {
  uint32_t length = std::min(packet.length, kHead);
  in.fragments = packet.fragments;
  Cursor(packet.fragments).copy({head, length});
  // XENNET-012: the tag goes out of band.
  if (configuration_.vlan && length >= xenvif::kEthernetHeader + kVlanTag &&
      xenvif::read_be16(head + kAddresses) == kTypeVlan) {
    in.removed = kVlanTag;
    in.vlan = vlan_from_tag(xenvif::read_be16(head + kAddresses + 2));
    length -= kVlanTag;
    std::memmove(head + kAddresses, head + kAddresses + kVlanTag, length - kAddresses);
  }
  in.head = {head, length};
  in.total = packet.length - in.removed;
  in.headers = xenvif::parse_headers(in.head);
  in.checksum = packet.checksum;
  in.gso = packet.gso;
  in.hash = packet.hash;
  if (in.gso.type == xenvif::GsoType::kNone) return true;
  const unsigned version = in.gso.type == xenvif::GsoType::kTcpV4 ? 4 : 6;
  return in.headers.protocol == kProtocolTcp && in.headers.ip_version == version &&
         in.total > in.headers.length;
}

bool Receiver::coalesces(const Incoming& in) const {
  const Offloads& offloads = configuration_.offloads;
  return in.headers.ip_version == 4 ? offloads.coalesce_v4 : offloads.coalesce_v6;
}

Receiver::Verdict Receiver::show_whole(const xenvif::RxPacket& packet, Incoming& in,
                                       uint16_t index) {
  const auto copied = static_cast<uint32_t>(in.head.size());
  fill_in(in, in.head, after(in.fragments, copied + in.removed), in.total);
  const uint32_t checksum = judge_checksums(in);
  // A packet that the head has all of needs XENVIF's pages no longer.
  const bool small = in.total == copied;
  const uint32_t in_head =
      small ? copied : std::max<uint32_t>(in.headers.length, xenvif::kEthernetHeader);
  Buffer& buffer = buffers_[index];
  buffer.source = small ? kNoSource : borrow(packet);
  lay_out(buffer, index, in_head, after(in.fragments, in_head + in.removed), in.total);
  buffer.list.coalesced = 0;
  if (in.gso.type != xenvif::GsoType::kNone) {  // XENNET-014
    const uint32_t payload = in.total - in.headers.length;
    buffer.list.coalesced =
        coalesced_segments(static_cast<uint16_t>((payload + in.gso.size - 1) / in.gso.size));
  }
  put(index, in, checksum);
  if (small) {
    port_.give_back(packet);
  } else {
    sources_[buffer.source].users = 1;
  }
  return Verdict::kUp;
}

/// XENNET-014: cuts a large packet up where the stack does not want it whole.
Receiver::Verdict Receiver::show_segments(const xenvif::RxPacket& packet, Incoming& in,
                                          uint16_t index) {
  const uint16_t length = in.headers.length;
  const uint32_t pieces = (in.total - length + in.gso.size - 1) / in.gso.size;
  if (pieces > free_buffers_.size() + 1) return Verdict::kNoBuffer;
  std::array<std::byte, kHead> whole;
  std::memcpy(whole.data(), in.head.data(), length);
  in.checksum = Checksum::kBlank;
  const uint16_t source = borrow(packet);
  for (xenvif::Segmenter cut(in.headers, in.total, in.gso.size); !cut.done();) {
    const std::span<std::byte> head{head_of(index), length};
    std::memcpy(head.data(), whole.data(), length);
    const Cursor payload = after(in.fragments, cut.payload_offset() + in.removed);
    const uint32_t total = cut.frame_length();
    cut.stamp(head);
    Incoming segment = in;
    segment.head = head;
    segment.total = total;
    fill_in(segment, head, payload, total);
    Buffer& buffer = buffers_[index];
    buffer.source = source;
    buffer.list.coalesced = 0;
    ++sources_[source].users;
    lay_out(buffer, index, length, payload, total);
    put(index, segment, judge_checksums(segment));
    if (!cut.done()) index = free_buffers_.take();
  }
  return Verdict::kUp;
}

uint8_t Receiver::offload_of(const Headers& headers) const {
  const Offloads& offloads = configuration_.offloads;
  if (headers.ip_version == 4) {
    return headers.protocol == kProtocolTcp ? offloads.tcp_v4 : offloads.udp_v4;
  }
  return headers.protocol == kProtocolTcp ? offloads.tcp_v6 : offloads.udp_v6;
}

/// Puts the checksum where the sender left it blank, when anybody is going to look at it.
void Receiver::fill_in(const Incoming& in, std::span<std::byte> head, Cursor rest,
                       uint32_t total) const {
  if (in.checksum != Checksum::kBlank || in.headers.protocol == 0) return;
  if (!configuration_.fill_checksums && (offload_of(in.headers) & kOffloadReceive)) return;
  std::byte* field = &head[in.headers.checksum_offset()];
  xenvif::write_be16(field, 0);
  const auto sum = transport_sum(head, in.headers, rest, total);
  if (sum) xenvif::write_be16(field, xenvif::finish_checksum(*sum, in.headers.protocol));
}

/// XENNET-009: what is said of checksums is what was seen, by the back end or here.
uint32_t Receiver::judge_checksums(const Incoming& in) const {
  uint32_t word = 0;
  if (in.headers.ip_version == 4 && (configuration_.offloads.ip_v4 & kOffloadReceive)) {
    const bool right = ipv4_header_is_right(in.head, in.headers);
    word = right ? kIpChecksumSucceeded : kIpChecksumFailed;
  }
  if (in.headers.protocol == 0 || !(offload_of(in.headers) & kOffloadReceive)) return word;
  return word | judge_transport(in);
}

uint32_t Receiver::judge_transport(const Incoming& in) const {
  const Headers& headers = in.headers;
  const bool tcp = headers.protocol == kProtocolTcp;
  const uint32_t good = tcp ? kTcpChecksumSucceeded : kUdpChecksumSucceeded;
  if (in.checksum == Checksum::kBlank) {
    return good | (configuration_.fill_checksums ? 0 : kTcpChecksumValueInvalid);
  }
  if (in.checksum == Checksum::kValidated) return good;
  const bool none = !tcp && xenvif::read_be16(&in.head[headers.checksum_offset()]) == 0;
  if (none && headers.ip_version == 4) return good;
  const auto seen = static_cast<uint32_t>(in.head.size()) + in.removed;
  const auto sum = transport_sum(in.head, headers, after(in.fragments, seen), in.total);
  if (!sum) return 0;
  if (!none && sum->folded() == 0xffff) return good;
  return tcp ? kTcpChecksumFailed : kUdpChecksumFailed;
}

void Receiver::lay_out(Buffer& buffer, uint16_t index, uint32_t in_head, Cursor rest,
                       uint32_t length) const {
  buffer.frames[0] = static_cast<uintptr_t>(heads_[index / kHeadsPerPage].frame);
  buffer.mdls[0] = {nullptr, head_of(index), in_head, buffer.frames.data()};
  size_t count = 1;
  for (uint32_t left = length - in_head; left > 0 && count < kMaxPieces; ++count) {
    const xenvif::Fragment run = rest.next(left);
    if (run.length == 0) break;
    left -= run.length;
    buffer.frames[count] = static_cast<uintptr_t>(run.frame);
    // The page is the driver's and the peer no longer has it: whoever got it may write there.
    buffer.mdls[count] = {nullptr, const_cast<std::byte*>(run.address), run.length,
                          &buffer.frames[count]};
    buffer.mdls[count - 1].next = &buffer.mdls[count];
  }
  buffer.packet = {nullptr, buffer.mdls.data(), 0, length};
}

void Receiver::put(uint16_t index, const Incoming& in, uint32_t checksum) {
  Buffer& buffer = buffers_[index];
  NetBufferList& list = buffer.list;
  list.status = NdisStatus::kSuccess;
  list.checksum = checksum;
  list.vlan = in.vlan;
  list.hash_value = list.hash_info = 0;
  unsigned cpu = cpu_;
  const ReceiveScaling& scaling = configuration_.scaling;
  if (scaling.hash_types != 0) {  // XENNET-015
    const uint32_t type = to_ndis(in.hash.type) & scaling.hash_types;
    if (type != 0) {
      list.hash_value = in.hash.value;
      list.hash_info = type | kHashToeplitz;
      if (scaling.spread) cpu = scaling.table[in.hash.value & (scaling.table_size - 1u)];
    }
  }
  statistics_.note(in.cast, in.total);
  batches_[cpu < batches_.size() ? cpu : cpu_].chain.push(&list);
}

}  // namespace ringside::xennet
