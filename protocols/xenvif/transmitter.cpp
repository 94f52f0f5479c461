#include "protocols/xenvif/transmitter.hpp"

#include <algorithm>
#include <cstring>

#include "protocols/xenvif/extras.hpp"

namespace ringside::xenvif {
namespace {

/// kSent, or why these fragments are no packet.
TxStatus check(const TxPacket& packet, uint32_t& total) {
  total = 0;
  for (const Fragment& fragment : packet.fragments) {
    if (size_t{fragment.offset} + fragment.length > platform::kPageSize ||
        (fragment.length != 0 && fragment.address == nullptr)) {
      return TxStatus::kBadFragment;
    }
    total += fragment.length;
    if (total > XEN_NETIF_MAX_TX_SIZE) return TxStatus::kTooLong;  // NETIF-TX-018
  }
  return total == 0 ? TxStatus::kBadFragment : TxStatus::kSent;
}

uint16_t wire_flags(Checksum checksum) {
  switch (checksum) {
    case Checksum::kBlank: return NETTXF_csum_blank | NETTXF_data_validated;  // NETIF-TX-025
    case Checksum::kValidated: return NETTXF_data_validated;
    case Checksum::kUnknown: break;
  }
  return 0;
}

}  // namespace

Status Transmitter::prepare(const Connection& connection) {
  connection_ = connection;
  if (Status status = ring_page_.prepare(platform_, *connection.grants, connection.peer);
      status != Status::kOk) {
    return status;
  }
  if (Status status = staging_.prepare(platform_, connection, kCellPages + kCopyPages);
      status != Status::kOk) {
    return status;
  }
  return create_ring();
}

Status Transmitter::create_ring() {
  // RING-011: laid anew for each connection, before the peer learns of it.
  auto ring = Ring::create({ring_page_.page().address, platform::kPageSize});
  if (!ring) return ring.status();
  RINGSIDE_ASSERT(platform_, ring->size() == kRingSlots);
  ring_ = *std::move(ring);
  ring_->attach(tap_);
  return Status::kOk;
}

void Transmitter::attach(ring::Tap* tap) {
  tap_ = tap;
  if (ring_) ring_->attach(tap);
}

std::span<const xenbus::GrantRef> Transmitter::static_grants(StaticGrants& into) const {
  for (unsigned i = 0; i < kStagingPages; ++i) into[i] = staging_.ref(i);
  return into;
}

Status Transmitter::transmit(const TxPacket& packet) {
  if (!ring_) return Status::kClosed;
  Head head;
  if (const TxStatus status = check(packet, head.unpadded); status != TxStatus::kSent) {
    ++statistics_.packets;
    complete(packet.cookie, status);
    return Status::kOk;
  }
  if (segmenting_.active || free_cells_.empty() || free_packets_.empty()) return block();
  head.cell = free_cells_.take();
  pull_head(packet, head);
  TxStatus status = finish_head(packet, head);
  const Plan way = plan(packet, head);
  if (status == TxStatus::kSent && way == Plan::kTooLongForPeer) {
    status = TxStatus::kTooLongForPeer;
  }
  if (status == TxStatus::kSent) {
    if (send(packet, way, head) != Status::kOk) {
      free_cells_.put(head.cell);
      return block();
    }
  } else {
    free_cells_.put(head.cell);
  }
  ++statistics_.packets;
  statistics_.bytes += head.unpadded;
  if (status != TxStatus::kSent) complete(packet.cookie, status);
  return Status::kOk;
}

Status Transmitter::send(const TxPacket& packet, Plan plan, const Head& head) {
  if (plan == Plan::kSegment) {
    begin_segments(packet, head);
    return Status::kOk;
  }
  Pieces& pieces = pieces_;
  pieces.count = 0;
  if (plan == Plan::kOnePage) {
    if (free_pages_.empty() || !room_for(1 + kMaxExtras)) return Status::kNoResources;
    copy_to_one_page(packet, head, pieces);
  } else {
    pieces.add(cell_piece(head));
    Status status = Status::kOk;
    if (plan == Plan::kGrant) status = grant_payload(packet, head, pieces);
    // With no grant left for the packet's own pages the driver's may still do.
    if (plan == Plan::kCopy || (plan == Plan::kGrant && status == Status::kNoMemory)) {
      status = copy_payload(packet, head, pieces);
    }
    if (plan == Plan::kLinear && !room_for(1 + kMaxExtras)) status = Status::kNoResources;
    if (status != Status::kOk) return Status::kNoResources;
  }
  put(pieces, open_packet(packet.cookie), {head.total, head.checksum, head.gso, head.hash});
  if (plan == Plan::kOnePage) free_cells_.put(head.cell);
  return Status::kOk;
}

Status Transmitter::grant_payload(const TxPacket& packet, const Head& head, Pieces& pieces) {
  Cursor rest(packet.fragments);
  rest.skip(head.length);
  if (!room_for(1 + kMaxExtras + rest.runs())) return Status::kNoResources;
  for (;;) {
    const Fragment run = rest.next(platform::kPageSize);
    if (run.length == 0) return Status::kOk;
    auto ref = connection_.grants->permit(connection_.peer, run.frame, xenbus::Access::kReadOnly);
    if (!ref) {
      undo_grants(pieces);
      return Status::kNoMemory;
    }
    pieces.add({{SlotUse::kGrant, 0, 0, *ref}, run.offset, run.length});
    ++statistics_.granted;
  }
}

void Transmitter::undo_grants(Pieces& pieces) {
  // The peer was never told of these references, so it can not be using them.
  for (; pieces.count > 1; --pieces.count) {
    (void)connection_.grants->revoke(pieces.items[pieces.count - 1].slot.ref);
  }
}

Status Transmitter::copy_payload(const TxPacket& packet, const Head& head, Pieces& pieces) {
  uint32_t left = head.total - head.length;
  const auto needed = static_cast<unsigned>((left + platform::kPageSize - 1) / platform::kPageSize);
  if (free_pages_.size() < needed || !room_for(1 + kMaxExtras + needed)) {
    return Status::kNoResources;
  }
  Cursor rest(packet.fragments);
  rest.skip(head.length);
  while (left > 0) {
    const uint16_t page = free_pages_.take();
    const uint32_t length = std::min<uint32_t>(left, platform::kPageSize);
    rest.copy({copy_page(page), length});
    pieces.add(page_piece(page, length));
    left -= length;
  }
  ++statistics_.copied;
  return Status::kOk;
}

void Transmitter::copy_to_one_page(const TxPacket& packet, const Head& head, Pieces& pieces) {
  const uint16_t page = free_pages_.take();
  std::memcpy(copy_page(page), cell(head.cell), head.length);
  Cursor rest(packet.fragments);
  rest.skip(head.length);
  rest.copy({copy_page(page) + head.length, head.total - head.length});
  pieces.add(page_piece(page, head.total));
  ++statistics_.copied;
}

uint16_t Transmitter::open_packet(uint64_t cookie) {
  const uint16_t packet = free_packets_.take();
  packets_[packet] = {cookie, 0, TxStatus::kSent, false};
  return packet;
}

void Transmitter::put(const Pieces& pieces, uint16_t packet, const Label& label) {
  const bool extra = label.gso.type != GsoType::kNone || label.hash.type != HashType::kNone;
  packets_[packet].parts = static_cast<uint16_t>(packets_[packet].parts + pieces.count);
  statistics_.slots += pieces.count;
  for (unsigned i = 0; i < pieces.count; ++i) {
    const Piece& piece = pieces.items[i];
    const uint16_t id = free_ids_.take();
    slots_[id] = piece.slot;
    slots_[id].packet = packet;
    // NETIF-TX-017: the first slot has the packet's size and flags, the others their own
    // size and nothing but more_data.
    netif_tx_request_t request{piece.slot.ref, piece.offset, 0, id, piece.length};
    if (i == 0) {
      request.size = static_cast<uint16_t>(label.total);
      request.flags = wire_flags(label.checksum);
      if (extra) request.flags = static_cast<uint16_t>(request.flags | NETTXF_extra_info);
    }
    if (i + 1 < pieces.count) {
      request.flags = static_cast<uint16_t>(request.flags | NETTXF_more_data);
    }
    ring_->put(request);
    // NETIF-TX-019: directly after the first slot
    if (i == 0 && extra) put_extras(label);
  }
}

void Transmitter::put_extras(const Label& label) {
  const bool hashed = label.hash.type != HashType::kNone;
  if (label.gso.type != GsoType::kNone) {
    put_extra(gso_extra(label.gso.type, label.gso.size, hashed));
  }
  if (hashed) put_extra(hash_extra(label.hash));
}

void Transmitter::put_extra(const netif_extra_info_t& info) {
  ring_->put(info);
  ++extras_;
  ++statistics_.slots;
}

Status Transmitter::transmit_own(std::span<const std::byte> frame) {
  if (!ring_) return Status::kClosed;
  if (free_cells_.empty() || free_packets_.empty() || !room_for(1)) return Status::kNoResources;
  Head head;
  head.cell = free_cells_.take();
  head.length = static_cast<uint16_t>(std::max<size_t>(frame.size(), kMinimumFrame));
  std::memset(cell(head.cell), 0, head.length);
  std::memcpy(cell(head.cell), frame.data(), frame.size());
  Pieces pieces;
  pieces.add(cell_piece(head));
  const uint16_t packet = open_packet(0);
  packets_[packet].own = true;
  put(pieces, packet, {.total = head.length, .checksum = {}, .gso = {}, .hash = {}});
  return Status::kOk;
}

Status Transmitter::tell_multicast(bool add, const MacAddress& address) {
  if (!ring_) return Status::kClosed;
  if (!room_for(2)) return Status::kNoResources;
  const uint16_t id = free_ids_.take();
  slots_[id] = {SlotUse::kDummy};
  ring_->put(netif_tx_request_t{0, 0, NETTXF_extra_info, id, 0});
  ++statistics_.slots;
  netif_extra_info_t info{};
  info.type = add ? XEN_NETIF_EXTRA_TYPE_MCAST_ADD : XEN_NETIF_EXTRA_TYPE_MCAST_DEL;
  std::copy(address.begin(), address.end(), info.u.mcast.addr);
  put_extra(info);
  return Status::kOk;
}

bool Transmitter::room_for(size_t slots) const {
  return ring_->free_slots() >= slots && free_ids_.size() >= slots;
}

Status Transmitter::block() {
  blocked_ = true;
  ++statistics_.blocked;
  return Status::kNoResources;
}

Transmitter::Piece Transmitter::cell_piece(const Head& head) const {
  const unsigned page = head.cell / kCellsPerPage;
  const unsigned offset = head.cell % kCellsPerPage * kCellSize;
  return {{SlotUse::kCell, head.cell, 0, staging_.ref(page)},
          static_cast<uint16_t>(offset),
          head.length};
}

Transmitter::Piece Transmitter::page_piece(uint16_t page, uint32_t length) const {
  return {{SlotUse::kStagingPage, page, 0, staging_.ref(kCellPages + page)},
          0,
          static_cast<uint16_t>(length)};
}

std::byte* Transmitter::cell(uint16_t index) {
  return staging_.address(index / kCellsPerPage) + index % kCellsPerPage * kCellSize;
}

}  // namespace ringside::xenvif
