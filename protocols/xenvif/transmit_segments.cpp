#include <algorithm>
#include <cstring>

#include "protocols/xenvif/checksum.hpp"
#include "protocols/xenvif/transmitter.hpp"

namespace ringside::xenvif {

void Transmitter::begin_segments(const TxPacket& packet, const Head& head) {
  const Headers& headers = head.headers;
  const uint32_t datagram_headers = headers.length - headers.network;
  // A segment never exceeds the MTU, nor the one page that any peer takes as one slot.
  const uint32_t size =
      std::min({uint32_t{head.gso.size}, connection_.settings.mtu - datagram_headers,
                static_cast<uint32_t>(platform::kPageSize) - headers.length});
  Segmenting& work = segmenting_;
  work.active = true;
  work.packet = packet;
  work.headers = headers;
  work.blank = peer_checksums(headers);
  work.segmenter = Segmenter(headers, head.unpadded, size);
  work.cursor = Cursor(packet.fragments);
  work.cursor.skip(headers.length);
  std::memcpy(work.head.data(), cell(head.cell), headers.length);
  free_cells_.put(head.cell);
  work.pending = open_packet(packet.cookie);
  packets_[work.pending].parts = 1;  // until the last segment is on the ring
  ++statistics_.segmented;
  continue_segments();
}

void Transmitter::continue_segments() {
  while (!segmenting_.segmenter.done()) {
    if (free_pages_.empty() || !room_for(1)) return;
    send_segment();
  }
  segmenting_.active = false;
  part_done(segmenting_.pending, TxStatus::kSent);
}

void Transmitter::send_segment() {
  Segmenting& work = segmenting_;
  const uint16_t page = free_pages_.take();
  const uint32_t length = work.segmenter.frame_length();
  const std::span<std::byte> frame{copy_page(page), length};
  std::memcpy(frame.data(), work.head.data(), work.headers.length);
  work.cursor.copy(frame.subspan(work.headers.length));
  work.segmenter.stamp(frame);
  if (work.blank) {
    blank_checksum(frame, work.headers, length - work.headers.transport);
  } else {
    (void)fill_checksum(frame, work.headers);  // stamp() made the lengths right
  }
  uint32_t total = length;
  if (total < kMinimumFrame) {  // NETIF-TX-039
    std::memset(copy_page(page) + total, 0, kMinimumFrame - total);
    total = kMinimumFrame;
  }
  Pieces pieces;
  pieces.add(page_piece(page, total));
  const Checksum checksum = work.blank ? Checksum::kBlank : Checksum::kUnknown;
  put(pieces, work.pending, {.total = total, .checksum = checksum, .gso = {}, .hash = {}});
  ++statistics_.segments;
}

}  // namespace ringside::xenvif
