#include <algorithm>
#include <cstring>

#include "backends/netback/guest_queue.hpp"
#include "protocols/xenvif/checksum.hpp"
#include "protocols/xenvif/extras.hpp"
#include "protocols/xenvif/headers.hpp"
#include "protocols/xenvif/segmenter.hpp"

namespace ringside::backends {
namespace {

constexpr size_t kMaxFrame = XEN_NETIF_MAX_TX_SIZE;
constexpr size_t kMaxHeaders = 512;

xenvif::Headers headers_of(const Frame& frame) {
  return xenvif::parse_headers(
      std::span(frame.bytes).first(std::min(frame.bytes.size(), kMaxHeaders)));
}

uint16_t wire_flags(Frame::Checksum checksum) {
  switch (checksum) {
    case Frame::Checksum::kBlank: return NETRXF_csum_blank | NETRXF_data_validated;
    case Frame::Checksum::kValidated: return NETRXF_data_validated;
    case Frame::Checksum::kUnknown: break;
  }
  return 0;
}

unsigned extras_of(const Frame& frame) {
  return (frame.gso_type != Frame::GsoType::kNone ? 1 : 0) +
         (frame.hash.type != xenvif::HashType::kNone ? 1 : 0);
}

}  // namespace

bool GuestQueue::take_buffers() {
  for (;;) {
    netif_rx_request_t request{};
    const auto taken = rx_ring_.take(request);
    if (!taken) return false;
    if (!*taken) return true;
    buffers_.push_back(request);
  }
}

size_t GuestQueue::slots_for(const Frame& frame) const {
  const size_t room = ring::kRingPageSize - profile_.receive_offset;
  return (frame.bytes.size() + room - 1) / room;
}

/// Makes of the frame what the guest said it takes; false when it was cut up, or cannot be
/// given to this guest at all.
bool GuestQueue::adapt(Frame& frame) {
  if (frame.bytes.size() < xenvif::kEthernetHeader || frame.bytes.size() > kMaxFrame) {
    ++statistics_.port_dropped;
    return false;
  }
  const bool gso = frame.gso_type != Frame::GsoType::kNone;
  const bool gso_taken = guest_.scatter_gather &&
                         (frame.gso_type == Frame::GsoType::kTcpV4 ? guest_.gso_v4 : guest_.gso_v6);
  if (gso && !gso_taken) {
    segment(frame);
    return false;
  }
  if (frame.checksum == Frame::Checksum::kBlank && !gso) {
    const xenvif::Headers headers = headers_of(frame);
    const bool taken = headers.ip_version == 4 ? guest_.checksum_v4 : guest_.checksum_v6;
    if (!taken && headers.protocol != 0 && xenvif::fill_checksum(frame.bytes, headers)) {
      frame.checksum = Frame::Checksum::kValidated;
    }
  }
  if (!guest_.scatter_gather && slots_for(frame) > 1) {
    ++statistics_.port_dropped;
    return false;
  }
  return true;
}

void GuestQueue::segment(const Frame& frame) {
  const xenvif::Headers headers = headers_of(frame);
  const auto total = static_cast<uint32_t>(frame.bytes.size());
  if (headers.protocol != xenvif::kProtocolTcp || frame.gso_size == 0 || total <= headers.length) {
    ++statistics_.port_dropped;
    return;
  }
  std::vector<Frame> pieces;
  xenvif::Segmenter segmenter(headers, total, frame.gso_size);
  while (!segmenter.done()) {
    Frame piece;
    const size_t offset = segmenter.payload_offset();
    piece.bytes.assign(frame.bytes.begin(), frame.bytes.begin() + headers.length);
    piece.bytes.insert(
        piece.bytes.end(), frame.bytes.begin() + static_cast<long>(offset),
        frame.bytes.begin() + static_cast<long>(offset + segmenter.payload_length()));
    segmenter.stamp(piece.bytes);
    if (xenvif::fill_checksum(piece.bytes, headers)) {
      piece.checksum = Frame::Checksum::kValidated;
    }
    piece.hash = frame.hash;
    pieces.push_back(std::move(piece));
  }
  backlog_.insert(backlog_.begin(), std::make_move_iterator(pieces.begin()),
                  std::make_move_iterator(pieces.end()));
}

void GuestQueue::place(const Frame& frame) {
  const uint16_t start = profile_.receive_offset;
  const size_t room = ring::kRingPageSize - start;
  const unsigned extras = extras_of(frame);
  for (size_t at = 0; at < frame.bytes.size();) {
    const bool first = at == 0;
    const size_t length = std::min(room, frame.bytes.size() - at);
    const netif_rx_request_t buffer = buffers_.front();
    buffers_.pop_front();
    xengnttab_grant_copy_segment_t copy{};
    // libxengnttab only reads from what a copy into a grant starts at.
    copy.source.virt = const_cast<std::byte*>(&frame.bytes[at]);
    copy.dest.foreign = {buffer.gref, start, domain_};
    copy.len = static_cast<uint16_t>(length);
    copy.flags = GNTCOPY_dest_gref;
    netif_rx_response_t response{buffer.id, start, 0, static_cast<int16_t>(length)};
    at += length;
    if (first) response.flags = wire_flags(frame.checksum);
    if (first && extras > 0) response.flags |= NETRXF_extra_info;
    if (at < frame.bytes.size()) response.flags |= NETRXF_more_data;
    answers_.push_back({response, static_cast<int>(copies_.size())});
    copies_.push_back(copy);
    if (first) place_extras(frame);
  }
  ++statistics_.port_packets;
}

void GuestQueue::place_extras(const Frame& frame) {
  const bool hashed = frame.hash.type != xenvif::HashType::kNone;
  const auto add = [this](const netif_extra_info_t& extra) {
    buffers_.pop_front();  // NETIF-RX-022: an extra takes the next request's slot
    answers_.push_back({ring::slot_as<netif_rx_response_t>(extra), -1});
  };
  if (frame.gso_type != Frame::GsoType::kNone) {
    add(xenvif::gso_extra(frame.gso_type, frame.gso_size, hashed));
  }
  if (hashed) add(xenvif::hash_extra(frame.hash));
}

void GuestQueue::put_batch() {
  if (answers_.empty()) return;
  const int error =
      xengnttab_grant_copy(handles_.grants, static_cast<uint32_t>(copies_.size()), copies_.data());
  for (Answer& answer : answers_) {
    if (answer.copy >= 0 &&
        (error != 0 || copies_[static_cast<size_t>(answer.copy)].status != GNTST_okay)) {
      answer.response.status = NETIF_RSP_ERROR;  // NETIF-RX-023
    }
    rx_ring_.put(answer.response);
  }
  answers_.clear();
  copies_.clear();
  for (Frame& frame : placed_) pool_.give(std::move(frame));
  placed_.clear();
  // NETIF-RX-024: whole packets only.
  if (rx_ring_.publish()) {
    const int port = rx_port_ >= 0 ? rx_port_ : tx_port_;
    xenevtchn_notify(handles_.events, static_cast<evtchn_port_t>(port));
  }
}

bool GuestQueue::serve_receive() {
  // A guest out of pages is looked at again when it says so, not before.
  if (starved_ && !rx_due_) return true;
  starved_ = false;
  rx_due_ = false;
  copies_.clear();
  while (!backlog_.empty()) {
    Frame frame = std::move(backlog_.front());
    backlog_.pop_front();
    if (!adapt(frame)) continue;
    const size_t needed = slots_for(frame) + extras_of(frame);
    while (buffers_.size() < needed) {
      if (!take_buffers()) return false;
      if (buffers_.size() >= needed || rx_ring_.arm()) break;
    }
    if (buffers_.size() < needed) {
      if (guest_.rx_notify) {
        starved_ = true;
        backlog_.push_front(std::move(frame));
        break;
      }
      // NETIF-NEG-002: it will not say when there is room, so nothing can wait for it.
      ++statistics_.port_dropped;
      continue;
    }
    placed_.push_back(std::move(frame));
    place(placed_.back());
    if (placed_.size() == kBatch) put_batch();
  }
  put_batch();
  return true;
}

}  // namespace ringside::backends
