#include <algorithm>
#include <cstring>

#include "protocols/xenvbd/queue.hpp"

namespace ringside::xenvbd {
namespace {

/// The whole discard extents of a range, in sectors; empty when there are none.
struct Range {
  uint64_t first = 0;
  uint64_t count = 0;
};

Range whole_extents(uint64_t sector, uint64_t sectors, const DiscardLimits& limits) {
  const uint64_t extent = limits.granularity / kSectorBytes;
  const uint64_t offset = limits.alignment / kSectorBytes % extent;
  const uint64_t end = sector + sectors;
  if (end < offset) return {};
  const uint64_t before = sector > offset ? sector - offset : 0;
  const uint64_t first = offset + (before + extent - 1) / extent * extent;
  const uint64_t last = offset + (end - offset) / extent * extent;
  return last > first ? Range{first, last - first} : Range{};
}

uint8_t data_operation(const Request& request) {
  return request.operation == Operation::kWrite ? BLKIF_OP_WRITE : BLKIF_OP_READ;
}

}  // namespace

Status Queue::check_segments(const Request& request) const {
  uint64_t bytes = 0;
  for (const Segment& segment : request.segments) {
    if (!segment.page || segment.length == 0) return Status::kInvalidArgument;
    if (segment.offset >= platform::kPageSize ||
        segment.length > platform::kPageSize - segment.offset) {
      return Status::kInvalidArgument;
    }
    bytes += segment.length;
  }
  return bytes == request.sectors * kSectorBytes ? Status::kOk : Status::kInvalidArgument;
}

Status Queue::check(const Request& request) const {
  if (request.operation == Operation::kFlush) return Status::kOk;
  // BLKIF-IO-030: refused here, and so never half done.
  if (request.sectors == 0 || request.sectors > disk_.sectors ||
      request.sector > disk_.sectors - request.sectors) {
    return Status::kInvalidArgument;
  }
  const bool changes = request.operation != Operation::kRead;
  if (changes && disk_.read_only) return Status::kReadOnly;  // BLKIF-NEG-026
  const uint32_t unit = disk_.sector_size / kSectorBytes;
  if (request.operation == Operation::kDiscard) {
    if (!disk_.discard.supported || (request.secure && !disk_.discard.secure)) {
      return Status::kNotSupported;
    }
    const Range range = whole_extents(request.sector, request.sectors, disk_.discard);
    const bool whole = range.first == request.sector && range.count == request.sectors;
    return request.secure && !whole ? Status::kInvalidArgument : Status::kOk;
  }
  if (request.sector % unit != 0 || request.sectors % unit != 0) return Status::kInvalidArgument;
  return check_segments(request);
}

Status Queue::submit(Request& request) {
  if (closed_ || draining_ || drain_ != Drain::kNo) return Status::kClosed;
  if (Status status = check(request); !ok(status)) return status;
  request.rewind();
  requests_.push_back(request);
  if (unissued_ == nullptr) unissued_ = &request;
  ++statistics_.requests;
  pump();
  if (idle_) hand_on();
  return Status::kOk;
}

void Queue::kick() {
  if (ring_.publish()) channel_->notify();
}

void Queue::pump() {
  if (pumping_) return;
  pumping_ = true;
  // BLKIF-IO-029: strictly in order; the first that finds no room holds up those behind it.
  while (running_ && unissued_ != nullptr) {
    Request& request = *unissued_;
    // What lingers with a former peer begins again when that lets go, and so do those behind.
    if (request.reissue_ || (!request.issued_ && !issue(request))) break;
    request.issued_ = true;
    unissued_ = RequestList::after(request);
    settle(request);
  }
  // Short of grants or memory, and no response to come that would bring us back here.
  if (running_ && unissued_ != nullptr && ring_.outstanding() == 0) {
    timer_->start(services_.platform.now() + platform::kMillisecond);
  }
  pumping_ = false;
}

bool Queue::issue(Request& request) {
  if (!ok(request.status_)) return true;  // a part of it has failed: the rest isn't worth it
  switch (request.operation) {
    case Operation::kFlush: return issue_flush(request);
    case Operation::kDiscard: return issue_discard(request);
    case Operation::kRead:
    case Operation::kWrite: break;
  }
  return issue_data(request);
}

std::optional<uint32_t> Queue::take_slot(Request& request, uint8_t operation) {
  if (ring_.free_slots() == 0) {
    ++statistics_.ring_full;
    return std::nullopt;
  }
  const std::optional<uint32_t> index = slots_.take();
  if (!index) return std::nullopt;
  slots_[*index].request = &request;
  slots_[*index].operation = operation;
  slots_[*index].place = ring_.next_request();
  return index;
}

bool Queue::issue_flush(Request& request) {
  const FlushMode mode = disk_.flush_mode();
  if (mode == FlushMode::kNone) return true;
  const uint8_t operation =
      mode == FlushMode::kCache ? BLKIF_OP_FLUSH_DISKCACHE : BLKIF_OP_WRITE_BARRIER;
  const std::optional<uint32_t> index = take_slot(request, operation);
  if (!index) return false;
  ring::Zeroed<blkif_request_t> wire;
  wire.operation = operation;
  wire.handle = terms_.handle;
  wire.id = slots_.id(*index);
  ring_.put(wire);
  ++request.in_flight_;
  return true;
}

bool Queue::issue_discard(Request& request) {
  if (!disk_.discard.supported) {
    // BLKIF-IO-017: it turned out while this one waited.
    request.status_ = Status::kNotSupported;
    return true;
  }
  const Range range = whole_extents(request.sector, request.sectors, disk_.discard);
  if (range.count == 0) return true;
  const std::optional<uint32_t> index = take_slot(request, BLKIF_OP_DISCARD);
  if (!index) return false;
  // BLKIF-IO-018: whole extents, and the secure flag only for who can.
  ring::Zeroed<blkif_request_discard_t> wire;
  wire.operation = BLKIF_OP_DISCARD;
  wire.flag = request.secure ? BLKIF_DISCARD_SECURE : 0;
  wire.handle = terms_.handle;
  wire.id = slots_.id(*index);
  wire.sector_number = range.first;
  wire.nr_sectors = range.count;
  ring_.put(wire);
  ++request.in_flight_;
  return true;
}

bool Queue::issue_data(Request& request) {
  while (request.sent_ < request.sectors) {
    const std::optional<uint32_t> index = take_slot(request, data_operation(request));
    if (!index) return false;
    Slot& slot = slots_[*index];
    const size_t left = request.segments.size() - request.position_.segment;
    if (left > kMaxDirectSegments) slot.indirect = indirect_.take();
    const uint32_t limit =
        slot.indirect == kNoIndex ? kMaxDirectSegments : indirect_.max_segments();
    const uint64_t sector = request.sector + request.sent_;
    const uint32_t count = fill(request, slot, limit);
    if (count <= kMaxDirectSegments && slot.indirect != kNoIndex) {
      indirect_.give_back(slot.indirect);
      slot.indirect = kNoIndex;
    }
    if (count == 0) {
      slots_.give_back(*index);
      return false;
    }
    statistics_.segments += count;
    if (slot.indirect == kNoIndex) {
      put_direct(*index, sector, count);
    } else {
      put_indirect(*index, sector, count);
    }
    ++request.in_flight_;
  }
  return true;
}

uint32_t Queue::fill(Request& request, Slot& slot, uint32_t limit) {
  uint32_t count = 0;
  while (count < limit && request.sent_ < request.sectors && add_piece(request, slot)) ++count;
  return count;
}

bool Queue::add_piece(Request& request, Slot& slot) {
  const uint16_t index = pieces_.take();
  if (index == kNoIndex) return false;
  Piece& piece = pieces_[index];
  const Stretch stretch = next_stretch(request.segments, request.position_, disk_.sector_size);
  piece.at = stretch.at;
  piece.length = static_cast<uint16_t>(stretch.length);
  const bool in_place = stretch.aligned && !bounces_all_;
  const Result<xenbus::GrantRef> ref =
      in_place ? grant_in_place(request, piece) : grant_bounced(request, piece);
  if (!ref) {
    if (piece.bounce != kNoIndex) bounce_.give_back(piece.bounce);
    pieces_.give_back(index);
    return false;
  }
  piece.ref = *ref;
  (slot.last_piece == kNoIndex ? slot.first_piece : pieces_[slot.last_piece].next) = index;
  slot.last_piece = index;
  request.position_ = stretch.end;
  request.sent_ += stretch.length / kSectorBytes;
  return true;
}

Result<xenbus::GrantRef> Queue::grant_in_place(const Request& request, Piece& piece) {
  const Segment& segment = request.segments[piece.at.segment];
  const uint32_t offset = segment.offset + piece.at.offset;
  // BLKIF-IO-012: inclusive, and within the page because the segment is.
  piece.first_sector = static_cast<uint8_t>(offset / kSectorBytes);
  piece.last_sector = static_cast<uint8_t>((offset + piece.length) / kSectorBytes - 1);
  const bool write = request.operation == Operation::kWrite;
  const auto access = write ? xenbus::Access::kReadOnly : xenbus::Access::kReadWrite;
  return grants_->permit(peer_, segment.page.frame, access);
}

Result<xenbus::GrantRef> Queue::grant_bounced(const Request& request, Piece& piece) {
  const uint16_t page = bounce_.take();
  if (page == kNoIndex) return Status::kNoResources;
  piece.bounce = page;
  piece.last_sector = static_cast<uint8_t>(piece.length / kSectorBytes - 1);
  const bool write = request.operation == Operation::kWrite;
  const std::span<std::byte> bytes = bounce_.bytes(page, platform::kPageSize);
  const size_t filled = write ? piece.length : 0;
  // BLKIF-IO-038: what earlier requests left in the page is no business of the peer's.
  if (!terms_.trusted) std::memset(bytes.data() + filled, 0, bytes.size() - filled);
  if (write) gather(request.segments, piece.at, bytes.first(filled));
  piece.kept = persistent_;
  const auto access = write ? xenbus::Access::kReadOnly : xenbus::Access::kReadWrite;
  const auto ref = persistent_ ? bounce_.keep(page, *grants_, peer_)
                               : grants_->permit(peer_, bounce_.page(page).frame, access);
  if (!ref) return ref.status();
  ++statistics_.bounced;
  if (persistent_) ++statistics_.kept;
  return ref;
}

void Queue::put_direct(uint32_t index, uint64_t sector, uint32_t count) {
  const Slot& slot = slots_[index];
  ring::Zeroed<blkif_request_t> wire;
  wire.operation = slot.operation;
  wire.nr_segments = static_cast<uint8_t>(count);  // BLKIF-IO-011
  wire.handle = terms_.handle;
  wire.id = slots_.id(index);
  wire.sector_number = sector;
  uint16_t next = slot.first_piece;
  for (uint32_t i = 0; i < count; ++i) {
    const Piece& piece = pieces_[next];
    wire.seg[i].gref = piece.ref;
    wire.seg[i].first_sect = piece.first_sector;
    wire.seg[i].last_sect = piece.last_sector;
    next = piece.next;
  }
  ring_.put(wire);
  ++statistics_.direct;
}

void Queue::put_indirect(uint32_t index, uint64_t sector, uint32_t count) {
  const Slot& slot = slots_[index];
  uint16_t next = slot.first_piece;
  for (uint32_t i = 0; i < count; ++i) {
    const Piece& piece = pieces_[next];
    ring::Zeroed<blkif_request_segment> segment;
    segment.gref = piece.ref;
    segment.first_sect = piece.first_sector;
    segment.last_sect = piece.last_sector;
    indirect_.put(slot.indirect, i, segment);
    next = piece.next;
  }
  ring::Zeroed<blkif_request_indirect_t> wire;
  wire.operation = BLKIF_OP_INDIRECT;
  wire.indirect_op = slot.operation;
  wire.nr_segments = static_cast<uint16_t>(count);
  wire.handle = terms_.handle;
  wire.id = slots_.id(index);
  wire.sector_number = sector;
  const uint32_t pages = (count + kSegmentsPerPage - 1) / kSegmentsPerPage;
  for (uint32_t i = 0; i < pages; ++i) wire.indirect_grefs[i] = indirect_.ref(slot.indirect, i);
  ring_.put(wire);
  ++statistics_.indirect;
}

}  // namespace ringside::xenvbd
