#include "conformance/replay/net_recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <utility>

#include "protocols/platform/xen.hpp"
#include "protocols/xenvif/connection.hpp"
#include "sim/machine/machine.hpp"

namespace ringside::conformance {
namespace {

constexpr sim::DomainId kBackend = 0;

/// World time where it replays, the host's where it is real.
uint64_t timestamp(sim::World& world) {
  if (world.is_deterministic()) return world.now();
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count());
}

std::string describe(const netif_extra_info_t& extra) {
  switch (extra.type) {
    case XEN_NETIF_EXTRA_TYPE_GSO:
      return fmt::format("GSO {}, {} bytes a segment",
                         extra.u.gso.type == XEN_NETIF_GSO_TYPE_TCPV4   ? "TCPv4"
                         : extra.u.gso.type == XEN_NETIF_GSO_TYPE_TCPV6 ? "TCPv6"
                                                                        : "of an unknown type",
                         static_cast<uint16_t>(extra.u.gso.size));
    case XEN_NETIF_EXTRA_TYPE_MCAST_ADD: return "multicast address added";
    case XEN_NETIF_EXTRA_TYPE_MCAST_DEL: return "multicast address removed";
    case XEN_NETIF_EXTRA_TYPE_HASH:
      return fmt::format("hash of algorithm {}, type {}", static_cast<int>(extra.u.hash.algorithm),
                         static_cast<int>(extra.u.hash.type));
    default: return fmt::format("of unknown type {}", static_cast<int>(extra.type));
  }
}

}  // namespace

/// The slots of one packet.
struct NetRecorder::Chain {
  struct Slot {
    uint32_t index = 0;  ///< in the ring, free-running
    uint16_t id = 0;
    grant_ref_t ref = 0;
    uint16_t offset = 0;
    uint32_t length = 0;
    std::string trouble{};  ///< why it is not all there
  };

  /// Appends what the slot's grant shows of the guest's memory to the frame.
  void fetch(Slot& slot);
  std::string comment() const;

  sim::Domain* domain = nullptr;
  PcapngWriter::Direction direction = PcapngWriter::Direction::kInbound;
  uint32_t interface = 0;
  uint32_t queue = 0;
  std::vector<Slot> slots;
  std::vector<std::string> extras;
  std::vector<std::byte> bytes;
  std::string_view checksum;
  bool more_data = false;
  bool more_extra = false;
};

void NetRecorder::Chain::fetch(Slot& slot) {
  if (slot.length == 0) return;
  sim::GrantTable& grants = domain->grants();
  const sim::GrantMap map =
      grants.acquire(kBackend, slot.ref, /*read_only=*/true, sim::GrantUse::kCopy);
  if (map.status != GNTST_okay) {
    slot.trouble = ", not granted";
    return;
  }
  const std::byte* page = domain->machine().frames().address(map.frame);
  const size_t end = std::min<size_t>(slot.offset + slot.length, sim::kPageSize);
  if (slot.offset < end) bytes.insert(bytes.end(), page + slot.offset, page + end);
  grants.release(slot.ref, /*read_only=*/true);
}

std::string NetRecorder::Chain::comment() const {
  const bool sent = direction == PcapngWriter::Direction::kOutbound;
  std::string text =
      fmt::format("{}, queue {}: slots {}, extras {}, checksum {}", sent ? "transmit" : "receive",
                  queue, slots.size(), extras.size(), checksum);
  for (const std::string& extra : extras) text += "\nextra: " + extra;
  for (const Slot& slot : slots) {
    text += fmt::format("\nslot {}: id {}, grant {}, offset {}, {} bytes{}", slot.index, slot.id,
                        slot.ref, slot.offset, slot.length, slot.trouble);
  }
  return text;
}

/// Of one ring: puts packets together slot by slot, and hands all on to another onlooker.
class NetRecorder::RingRecorder : public ring::Tap {
 public:
  RingRecorder(NetRecorder& recorder, Chain empty, ring::Tap* next)
      : recorder_(recorder), empty_(std::move(empty)), chain_(empty_), next_(next) {}
  virtual ~RingRecorder() = default;

  void produced(Side side, uint32_t index, std::span<const std::byte> slot) override {
    if (index == 0) chain_ = empty_;  // another connection: what was left of the last is void
    request(index, slot);
    if (next_ != nullptr) next_->produced(side, index, slot);
  }
  void consumed(Side side, uint32_t index, std::span<const std::byte> slot) override {
    response(index, slot);
    if (next_ != nullptr) next_->consumed(side, index, slot);
  }

 protected:
  virtual void request(uint32_t index, std::span<const std::byte> slot) = 0;
  virtual void response(uint32_t index, std::span<const std::byte> slot) = 0;

  Chain& chain() { return chain_; }
  void take_extra(const netif_extra_info_t& extra) {
    chain_.extras.push_back(describe(extra));
    chain_.more_extra = (extra.flags & XEN_NETIF_EXTRA_FLAG_MORE) != 0;
  }
  void write_when_complete() {
    if (chain_.more_data || chain_.more_extra) return;
    recorder_.write(chain_);
    chain_ = empty_;
  }
  template <typename T>
  static T read(std::span<const std::byte> slot) {
    T value{};
    std::memcpy(&value, slot.data(), std::min(sizeof value, slot.size()));
    return value;
  }

 private:
  NetRecorder& recorder_;
  const Chain empty_;
  Chain chain_;
  ring::Tap* next_;
};

class NetRecorder::TransmitRecorder final : public RingRecorder {
 public:
  using RingRecorder::RingRecorder;

 private:
  void request(uint32_t index, std::span<const std::byte> slot) override {
    Chain& packet = chain();
    if (packet.more_extra) {
      take_extra(read<netif_extra_info_t>(slot));
    } else {
      const auto request = read<netif_tx_request_t>(slot);
      if (packet.slots.empty()) begin(request.flags);
      packet.more_data = (request.flags & NETTXF_more_data) != 0;
      packet.slots.push_back({index, request.id, request.gref, request.offset, request.size});
    }
    if (packet.more_data || packet.more_extra) return;
    // NETIF-TX-017: the first slot tells the size of all.
    for (size_t i = 1; i < packet.slots.size(); ++i) {
      packet.slots[0].length -= std::min(packet.slots[0].length, packet.slots[i].length);
    }
    for (Chain::Slot& each : packet.slots) packet.fetch(each);
    write_when_complete();
  }
  void response(uint32_t, std::span<const std::byte>) override {}

  void begin(uint16_t flags) {
    chain().more_extra = (flags & NETTXF_extra_info) != 0;
    chain().checksum = flags & NETTXF_csum_blank       ? "blank"
                       : flags & NETTXF_data_validated ? "validated"
                                                       : "unknown";
  }
};

class NetRecorder::ReceiveRecorder final : public RingRecorder {
 public:
  using RingRecorder::RingRecorder;

 private:
  void request(uint32_t index, std::span<const std::byte> slot) override {
    posted_[index % posted_.size()] = read<netif_rx_request_t>(slot).gref;
  }
  /// The page is still granted: it is taken back after this.
  void response(uint32_t index, std::span<const std::byte> slot) override {
    Chain& packet = chain();
    if (packet.more_extra) {
      take_extra(read<netif_extra_info_t>(slot));
      return write_when_complete();
    }
    const auto response = read<netif_rx_response_t>(slot);
    if (packet.slots.empty()) begin(response.flags);
    packet.more_data = (response.flags & NETRXF_more_data) != 0;
    const auto length = static_cast<uint32_t>(std::max<int>(response.status, 0));
    packet.slots.push_back(
        {index, response.id, posted_[index % posted_.size()], response.offset, length});
    if (response.status < 0) {
      packet.slots.back().trouble = fmt::format(", status {}", response.status);
    }
    packet.fetch(packet.slots.back());
    write_when_complete();
  }

  void begin(uint16_t flags) {
    chain().more_extra = (flags & NETRXF_extra_info) != 0;
    chain().checksum = flags & NETRXF_csum_blank       ? "blank"
                       : flags & NETRXF_data_validated ? "validated"
                                                       : "unknown";
  }

  std::array<grant_ref_t, xenvif::kRingSlots> posted_{};
};

NetRecorder::NetRecorder(const std::string& path) : writer_(path) {}
NetRecorder::~NetRecorder() = default;

void NetRecorder::watch(const std::string& name, sim::Domain& domain, xenvif::Vif& vif,
                        unsigned queues, ring::Tap* transmit, ring::Tap* receive) {
  Chain chain;
  chain.domain = &domain;
  chain.interface = writer_.add_interface(name, "the rings of domain " + domain.name());
  for (unsigned i = 0; i < queues; ++i) {
    chain.queue = i;
    chain.direction = PcapngWriter::Direction::kOutbound;
    taps_.push_back(std::make_unique<TransmitRecorder>(*this, chain, i == 0 ? transmit : nullptr));
    ring::Tap* const out = taps_.back().get();
    chain.direction = PcapngWriter::Direction::kInbound;
    taps_.push_back(std::make_unique<ReceiveRecorder>(*this, chain, i == 0 ? receive : nullptr));
    vif.queue(i).attach(out, taps_.back().get());
  }
}

void NetRecorder::write(const Chain& chain) {
  const std::string comment = chain.comment();
  const std::lock_guard lock(mutex_);
  writer_.add({.interface = chain.interface,
               .nanoseconds = timestamp(chain.domain->machine().world()),
               .direction = chain.direction,
               .queue = chain.queue,
               .bytes = chain.bytes,
               .comment = comment});
  ++count_;
}

uint64_t NetRecorder::finish() {
  const std::lock_guard lock(mutex_);
  writer_.finish();
  return count_;
}

}  // namespace ringside::conformance
