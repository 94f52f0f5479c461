#include "protocols/xenvif/receiver.hpp"

#include <algorithm>
#include <cstring>

#include "protocols/xenvif/extras.hpp"
#include "protocols/xenvif/headers.hpp"

namespace ringside::xenvif {
namespace {

constexpr size_t kMaxHashedHead = 256;  // headers longer than that get no hash

}  // namespace

Receiver::~Receiver() {
  RINGSIDE_ASSERT(platform_, free_lents_.full());
  for (platform::Page& page : pages_) {
    if (page) platform_.release_page(page);
  }
}

Status Receiver::prepare(const Connection& connection) {
  connection_ = connection;
  if (Status status = allocate_pages(); status != Status::kOk) return status;
  return ring_page_.prepare(platform_, *connection.grants, connection.peer);
}

Status Receiver::open() {
  next_request_ = 0;
  next_response_ = 0;
  hash_set_up_ = hash_types_ != 0;
  // RING-011: laid anew for each connection, before the peer learns of it.
  auto ring = Ring::create({ring_page_.page().address, platform::kPageSize});
  if (!ring) return ring.status();
  RINGSIDE_ASSERT(platform_, ring->size() == kRingSlots);
  ring_ = *std::move(ring);
  ring_->attach(tap_);
  (void)refill();
  return Status::kOk;
}

void Receiver::attach(ring::Tap* tap) {
  tap_ = tap;
  if (ring_) ring_->attach(tap);
}

Status Receiver::allocate_pages() {
  if (pages_.empty()) {
    auto pages = platform::Array<platform::Page>::create(platform_, kPages);
    if (!pages) return pages.status();
    auto lents = platform::Array<Lent>::create(platform_, kPages);
    if (!lents) return lents.status();
    pages_ = *std::move(pages);
    lents_ = *std::move(lents);
  }
  // Some may be missing since an earlier peer did not let go of them.
  for (platform::Page& page : pages_) {
    if (page) continue;
    auto fresh = platform_.allocate_page();
    if (!fresh) return fresh.status();
    page = *fresh;
  }
  return Status::kOk;
}

bool Receiver::refill() {
  while (ring_ && ring_->free_slots() > 0 && post_one()) {
  }
  return ring_ && ring_->publish();
}

bool Receiver::post_one() {
  Posted entry;
  if (recycled_count_ > 0) {
    entry = recycled_[--recycled_count_];
  } else {
    if (free_pages_.empty()) {
      ++statistics_.starved;
      return false;
    }
    entry.page = free_pages_.take();
    auto ref = connection_.grants->permit(connection_.peer, pages_[entry.page].frame,
                                          xenbus::Access::kReadWrite);
    if (!ref) {
      free_pages_.put(entry.page);
      return false;
    }
    entry.ref = *ref;
  }
  // NETIF-RX-022: the answer comes in the slot of the request, whose number is the id.
  const auto index = static_cast<uint16_t>(next_request_++ % kRingSlots);
  posted_[index] = entry;
  ring_->put(netif_rx_request_t{index, 0, entry.ref});
  return true;
}

bool Receiver::arm() { return !ring_ || ring_->arm(); }

Result<Poll> Receiver::poll(unsigned budget) {
  polling_ = true;
  Status status = Status::kOk;
  unsigned seen = 0;
  while (ring_ && seen < budget && status == Status::kOk) {
    netif_rx_response_t slot;
    const auto taken = ring_->take(slot);
    if (!taken) {
      status = taken.status();
    } else if (!*taken) {
      break;
    } else {
      ++seen;
      ++statistics_.slots;
      status = consume(slot, static_cast<uint16_t>(next_response_++ % kRingSlots));
    }
  }
  polling_ = false;
  if (status != Status::kOk) return status;
  return seen == budget ? Poll::kMore : Poll::kIdle;
}

Status Receiver::consume(const netif_rx_response_t& response, uint16_t index) {
  if (assembly_.more_extra) {
    consume_extra(ring::slot_as<netif_extra_info_t>(response), posted_[index]);
  } else {
    if (response.id != index) {
      // The peer answers another request than this slot's: what page it wrote is anyone's
      // guess. [NETIF-RX-022]
      recycle(posted_[index]);
      return Status::kPeerViolation;
    }
    consume_data(response, posted_[index]);
  }
  if (!assembly_.more_data && !assembly_.more_extra) finish();
  return Status::kOk;
}

void Receiver::begin(const netif_rx_response_t& response) {
  RINGSIDE_ASSERT(platform_, !free_lents_.empty());
  assembly_ = Assembly{};
  assembly_.active = true;
  assembly_.lent = free_lents_.take();
  Lent& lent = lents_[assembly_.lent];
  lent.packet = RxPacket{};
  lent.packet.handle = assembly_.lent;
  lent.count = 0;
  // NETIF-TX-025: blank means validated, whatever the other flag says.
  if (response.flags & NETRXF_csum_blank) {
    lent.packet.checksum = Checksum::kBlank;
  } else if (response.flags & NETRXF_data_validated) {
    lent.packet.checksum = Checksum::kValidated;
  }
}

std::optional<RxDrop> Receiver::examine(const netif_rx_response_t& response, bool first) const {
  const Lent& lent = lents_[assembly_.lent];
  if (response.status < 0) return RxDrop::kPeerError;  // NETIF-RX-023
  const auto size = static_cast<uint32_t>(response.status);
  if (response.offset + size > platform::kPageSize) return RxDrop::kBadRange;
  // NETIF-RX-028: a GSO prefix is only for front ends that asked for it, which we do not.
  if ((response.flags & NETRXF_gso_prefix) || (!first && (response.flags & NETRXF_extra_info))) {
    return RxDrop::kBadExtra;
  }
  if (size > 0 && lent.count == kMaxFragments) return RxDrop::kTooLong;
  if (lent.packet.length + size > kMaxPacket) return RxDrop::kTooLong;
  return {};
}

void Receiver::consume_data(const netif_rx_response_t& response, Posted& posted) {
  const bool first = !assembly_.active;
  if (first) begin(response);
  assembly_.more_data = (response.flags & NETRXF_more_data) != 0;
  assembly_.more_extra = (response.flags & NETRXF_extra_info) != 0;
  if (const auto drop = examine(response, first)) note_drop(*drop);
  if (assembly_.drop || response.status == 0) {
    recycle(posted);
  } else {
    take_page(posted, response);
  }
}

void Receiver::take_page(Posted& posted, const netif_rx_response_t& response) {
  uint16_t page = posted.page;
  if (connection_.grants->revoke(posted.ref) != Status::kOk) {
    // GRANT-002: the peer still maps it, so the client gets a copy that nobody else can
    // change, and the page, granted as it is, goes back to the ring.
    ++statistics_.held;
    if (free_pages_.empty()) {
      note_drop(RxDrop::kNoMemory);
      recycle(posted);
      return;
    }
    page = free_pages_.take();
    std::memcpy(pages_[page].address + response.offset,
                pages_[posted.page].address + response.offset,
                static_cast<size_t>(response.status));
    recycle(posted);
  }
  Lent& lent = lents_[assembly_.lent];
  // NETIF-RX-044: data may start anywhere in the page.
  lent.fragments[lent.count] = {pages_[page].address + response.offset, pages_[page].frame,
                                response.offset, static_cast<uint16_t>(response.status)};
  lent.pages[lent.count++] = page;
  lent.packet.length += static_cast<uint32_t>(response.status);
}

void Receiver::consume_extra(const netif_extra_info_t& extra, Posted& posted) {
  recycle(posted);  // an extra takes a slot, but no page
  assembly_.more_extra = (extra.flags & XEN_NETIF_EXTRA_FLAG_MORE) != 0;
  if (extra.type == XEN_NETIF_EXTRA_TYPE_NONE || extra.type >= XEN_NETIF_EXTRA_TYPE_MAX) {
    note_drop(RxDrop::kUnknownExtra);  // NETIF-RX-049
    return;
  }
  RxPacket& packet = lents_[assembly_.lent].packet;
  switch (extra.type) {
    case XEN_NETIF_EXTRA_TYPE_GSO: return take_gso(extra, packet);
    case XEN_NETIF_EXTRA_TYPE_HASH: return take_hash(extra, packet);
    default: return note_drop(RxDrop::kBadExtra);
  }
}

void Receiver::take_gso(const netif_extra_info_t& extra, RxPacket& packet) {
  const auto& gso = extra.u.gso;
  const bool valid = packet.gso.type == GsoType::kNone && gso.size > 0 &&
                     (gso.type == XEN_NETIF_GSO_TYPE_TCPV4 || gso.type == XEN_NETIF_GSO_TYPE_TCPV6);
  if (!valid) return note_drop(RxDrop::kBadExtra);
  packet.gso = {static_cast<GsoType>(gso.type), gso.size};
}

void Receiver::take_hash(const netif_extra_info_t& extra, RxPacket& packet) {
  const PacketHash hash = hash_of(extra);
  follow_hash();
  // NETIF-RX-029: only who was asked to may tell hashes.
  const bool valid =
      hash_set_up_ && packet.hash.type == HashType::kNone && hash.type != HashType::kNone;
  if (!valid) return note_drop(RxDrop::kBadExtra);
  packet.hash = hash;
}

void Receiver::follow_hash() {
  const uint32_t version = connection_.hash->version();
  if (version == hash_version_) return;
  hash_version_ = version;
  const HashConfig config = connection_.hash->get();
  hash_types_ = config.types;
  hash_set_up_ = hash_set_up_ || config.types != 0;
  toeplitz_.set_key(std::span(config.key).first(config.key_length));
}

void Receiver::hash(RxPacket& packet) const {
  const Fragment& first = packet.fragments[0];
  const std::span<const std::byte> head(first.address,
                                        std::min<size_t>(first.length, kMaxHashedHead));
  packet.hash = hash_packet(head, parse_headers(head), hash_types_, toeplitz_);
}

void Receiver::note_drop(RxDrop reason) {
  if (!assembly_.drop) assembly_.drop = reason;
}

void Receiver::finish() {
  const Assembly done = assembly_;
  assembly_ = Assembly{};
  Lent& lent = lents_[done.lent];
  std::optional<RxDrop> drop = done.drop;
  if (!drop && lent.packet.length < kEthernetHeader) drop = RxDrop::kRunt;
  if (drop) {
    ++statistics_.dropped[static_cast<size_t>(*drop)];
    free_lent(done.lent);
    return;
  }
  ++statistics_.packets;
  statistics_.bytes += lent.packet.length;
  lent.packet.fragments = {lent.fragments.data(), lent.count};
  follow_hash();
  if (hash_types_ != 0 && lent.packet.hash.type == HashType::kNone) hash(lent.packet);
  client_.received(queue_, lent.packet);
}

void Receiver::recycle(const Posted& posted) { recycled_[recycled_count_++] = posted; }

void Receiver::free_lent(uint16_t index) {
  Lent& lent = lents_[index];
  for (unsigned i = 0; i < lent.count; ++i) free_pages_.put(lent.pages[i]);
  lent.count = 0;
  free_lents_.put(index);
}

bool Receiver::give_back(const RxPacket& packet) {
  free_lent(packet.handle);
  if (!ring_ || polling_) return false;
  // In batches, unless the ring runs dry: one publish costs more than one page waits.
  const uint32_t empty = ring_->free_slots();
  const bool batch = free_pages_.size() + recycled_count_ >= kRefillBatch;
  const bool low = kRingSlots - empty < kRefillBatch;
  return empty >= kRefillBatch && (batch || low) && refill();
}

void Receiver::reclaim(const Posted& posted) {
  if (connection_.grants->revoke(posted.ref) != Status::kOk) {
    connection_.grants->park(posted.ref, pages_[posted.page]);
    pages_[posted.page] = {};  // prepare() gets another
  }
  free_pages_.put(posted.page);
}

void Receiver::release() {
  ring_.reset();
  for (; next_response_ != next_request_; ++next_response_) {
    reclaim(posted_[next_response_ % kRingSlots]);
  }
  while (recycled_count_ > 0) reclaim(recycled_[--recycled_count_]);
  if (assembly_.active) {
    ++statistics_.dropped[static_cast<size_t>(RxDrop::kDisconnected)];
    free_lent(assembly_.lent);
    assembly_ = Assembly{};
  }
  if (connection_.grants != nullptr) ring_page_.release(platform_, *connection_.grants);
  connection_.grants = nullptr;
}

}  // namespace ringside::xenvif
