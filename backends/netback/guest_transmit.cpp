#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "backends/netback/guest_queue.hpp"
#include "protocols/xenvif/extras.hpp"
#include "protocols/xenvif/headers.hpp"

namespace ringside::backends {
namespace {

// Beyond this a chain is no packet any more but an attack (xen-netback's fatal_skb_slots).
constexpr size_t kFatalSlots = 20;
// Up to here a copy by the hypervisor costs less than a map and an unmap.
constexpr uint16_t kMostCopied = ring::kRingPageSize / 2;
constexpr unsigned kMaxExtras = XEN_NETIF_EXTRA_TYPE_MAX - 1;

Frame::Checksum checksum_of(uint16_t flags) {
  if (flags & NETTXF_csum_blank) return Frame::Checksum::kBlank;
  return flags & NETTXF_data_validated ? Frame::Checksum::kValidated : Frame::Checksum::kUnknown;
}

}  // namespace

bool GuestQueue::gso_allowed(uint8_t type) const {
  if (type == XEN_NETIF_GSO_TYPE_TCPV4) return profile_.gso_v4;
  return type == XEN_NETIF_GSO_TYPE_TCPV6 && profile_.gso_v6;
}

void GuestQueue::take_extra(const netif_extra_info_t& extra, Sent& packet) const {
  ++packet.extras;
  switch (extra.type) {
    case XEN_NETIF_EXTRA_TYPE_GSO: return take_gso(extra, packet);
    case XEN_NETIF_EXTRA_TYPE_HASH: return take_hash(extra, packet);
    case XEN_NETIF_EXTRA_TYPE_MCAST_ADD:
    case XEN_NETIF_EXTRA_TYPE_MCAST_DEL: return take_multicast(extra, packet);
    default: packet.good = false;  // NETIF-RX-049
  }
}

void GuestQueue::take_gso(const netif_extra_info_t& extra, Sent& packet) const {
  const auto& gso = extra.u.gso;
  if (gso.size == 0 || !gso_allowed(gso.type)) {
    packet.good = false;  // NETIF-TX-008
    return;
  }
  packet.frame.gso_type = static_cast<Frame::GsoType>(gso.type);
  packet.frame.gso_size = gso.size;
}

void GuestQueue::take_hash(const netif_extra_info_t& extra, Sent& packet) const {
  packet.frame.hash = xenvif::hash_of(extra);
  if (!profile_.control_ring || packet.frame.hash.type == xenvif::HashType::kNone) {
    packet.good = false;
  }
}

void GuestQueue::take_multicast(const netif_extra_info_t& extra, Sent& packet) const {
  packet.dummy = true;
  MulticastList::Address address{};
  std::copy_n(extra.u.mcast.addr, address.size(), address.begin());
  if (!profile_.multicast) {
    packet.good = false;
  } else if (extra.type == XEN_NETIF_EXTRA_TYPE_MCAST_DEL) {
    multicast_.remove(address);
  } else if (!multicast_.add(address)) {
    packet.good = false;
  }
}

GuestQueue::Taken GuestQueue::take_extras(Sent& packet) {
  bool more = true;
  while (more) {
    auto taken = tx_ring_.take();
    // A packet is published whole, so a chain that breaks off is nonsense.
    if (!taken || !*taken || packet.extras == kMaxExtras) return Taken::kNonsense;
    const auto extra = ring::slot_as<netif_extra_info_t>(**taken);
    more = (extra.flags & XEN_NETIF_EXTRA_FLAG_MORE) != 0;
    take_extra(extra, packet);
  }
  return Taken::kPacket;
}

GuestQueue::Taken GuestQueue::take_packet(Sent& packet) {
  packet.slots.clear();
  packet.extras = 0;
  packet.good = true;
  packet.dummy = false;
  packet.frame.clear();
  netif_tx_request_t slot{};
  auto taken = tx_ring_.take(slot);
  if (!taken) return Taken::kNonsense;
  if (!*taken) return Taken::kNothing;
  packet.slots.push_back(slot);
  packet.frame.checksum = checksum_of(packet.slots[0].flags);
  if (packet.slots[0].flags & NETTXF_extra_info) {
    if (take_extras(packet) != Taken::kPacket) return Taken::kNonsense;
  }
  while (packet.slots.back().flags & NETTXF_more_data) {
    taken = tx_ring_.take(slot);
    if (!taken || !*taken || packet.slots.size() == kFatalSlots) return Taken::kNonsense;
    packet.slots.push_back(slot);
  }
  check(packet);
  return Taken::kPacket;
}

void GuestQueue::check(Sent& packet) const {
  if (packet.slots.size() > (profile_.scatter_gather ? kMaxSlots : 1)) packet.good = false;
  if (packet.dummy) return;
  netif_tx_request_t& first = packet.slots[0];
  const uint16_t total = first.size;
  if (total < xenvif::kEthernetHeader) packet.good = false;  // NETIF-TX-039
  // NETIF-TX-017: what the first slot holds is the rest.
  uint32_t others = 0;
  for (size_t i = 1; i < packet.slots.size(); ++i) others += packet.slots[i].size;
  if (others > total) packet.good = false;
  if (!packet.good) return;
  first.size = static_cast<uint16_t>(total - others);
  for (const netif_tx_request_t& slot : packet.slots) {
    if (uint32_t{slot.offset} + slot.size > ring::kRingPageSize) packet.good = false;
  }
  if (packet.good) packet.frame.bytes.resize(total);
}

bool GuestQueue::fetch_by_map(const netif_tx_request_t& slot, std::byte* to) {
  void* page = xengnttab_map_grant_ref(handles_.grants, domain_, slot.gref, PROT_READ);
  if (page == nullptr) return false;
  std::memcpy(to, static_cast<const std::byte*>(page) + slot.offset, slot.size);
  xengnttab_unmap(handles_.grants, page, 1);
  return true;
}

/// Gets what can be had at once, and notes the rest in copies_.
void GuestQueue::fetch(Sent& packet) {
  std::byte* to = packet.frame.bytes.data();
  for (const netif_tx_request_t& slot : packet.slots) {
    if (slot.size == 0) continue;
    if (const std::byte* page = grants_.find(slot.gref)) {  // NETIF-TX-041
      std::memcpy(to, page + slot.offset, slot.size);
    } else if (profile_.map_transmit && slot.size > kMostCopied) {
      if (!fetch_by_map(slot, to)) {
        packet.good = false;  // NETIF-TX-040
        return;
      }
    } else {
      xengnttab_grant_copy_segment_t copy{};
      copy.source.foreign = {slot.gref, slot.offset, domain_};
      copy.dest.virt = to;
      copy.len = slot.size;
      copy.flags = GNTCOPY_source_gref;
      copies_.push_back(copy);
      copied_for_.push_back(&packet);
    }
    to += slot.size;
  }
}

void GuestQueue::fetch(std::span<Sent> packets) {
  copies_.clear();
  copied_for_.clear();
  for (Sent& packet : packets) {
    if (packet.good && !packet.dummy) fetch(packet);
  }
  if (copies_.empty()) return;
  const int error =
      xengnttab_grant_copy(handles_.grants, static_cast<uint32_t>(copies_.size()), copies_.data());
  for (size_t i = 0; i < copies_.size(); ++i) {
    if (error != 0 || copies_[i].status != GNTST_okay) copied_for_[i]->good = false;
  }
}

void GuestQueue::answer(const Sent& packet, int16_t status) {
  for (size_t i = 0; i < packet.slots.size(); ++i) {
    tx_ring_.put(netif_tx_response_t{packet.slots[i].id, status});
    if (i != 0) continue;
    // NETIF-TX-020: the slots of the extras are answered with nothing.
    for (unsigned extra = 0; extra < packet.extras; ++extra) {
      tx_ring_.put(netif_tx_response_t{packet.slots[0].id, NETIF_RSP_NULL});
    }
  }
}

void GuestQueue::deliver(Sent& packet, Port* port) {
  if (!packet.good) {
    ++statistics_.guest_errors;
    answer(packet, NETIF_RSP_ERROR);  // NETIF-TX-040: and the ring goes on
  } else if (packet.dummy) {
    answer(packet, NETIF_RSP_OKAY);
  } else if (port == nullptr) {
    answer(packet, NETIF_RSP_DROPPED);
  } else {
    ++statistics_.guest_packets;
    port->sent(std::move(packet.frame));
    answer(packet, NETIF_RSP_OKAY);
  }
}

bool GuestQueue::serve_transmit(Port* port) {
  if (!tx_due_) return true;
  if (batch_.empty()) batch_.resize(kBatch);
  for (;;) {
    size_t count = 0;
    Taken taken = Taken::kPacket;
    const size_t most = port == nullptr ? kBatch : std::min<size_t>(kBatch, port->room());
    while (count < most) {
      taken = take_packet(batch_[count]);
      if (taken != Taken::kPacket) break;
      ++count;
    }
    if (taken == Taken::kNonsense) return false;
    fetch(std::span(batch_).first(count));
    for (size_t i = 0; i < count; ++i) deliver(batch_[i], port);
    if (tx_ring_.publish()) {
      xenevtchn_notify(handles_.events, static_cast<evtchn_port_t>(tx_port_));
    }
    if (port != nullptr && port->room() == 0) return true;  // still due, once it has room
    if (count == 0 && tx_ring_.arm()) break;
  }
  tx_due_ = false;
  return true;
}

}  // namespace ringside::backends
