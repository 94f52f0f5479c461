#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/ring/front_ring.hpp"
#include "protocols/xenvif/client.hpp"
#include "protocols/xenvif/connection.hpp"
#include "protocols/xenvif/granted_page.hpp"
#include "protocols/xenvif/index_stack.hpp"
#include "protocols/xenvif/statistics.hpp"

namespace ringside::xenvif {

/// The receiving half of a queue, in copy mode: empty pages out, packets in.
///
/// The ring is kept full; a page whose answer came is revoked before the client sees it, so
/// the peer can no longer change it. Source: xen/io/netif.h, "Guest receive".
class Receiver {
 public:
  Receiver(platform::Platform& platform, Queue& queue, Client& client)
      : platform_(platform), queue_(queue), client_(client) {}
  ~Receiver();
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  /// Allocates the ring, and the pages if this is the first connection.
  Status prepare(const Connection& connection);
  /// Lays the ring and fills it before the peer sees it. Not beside give_back().
  Status open();
  /// Takes all posted pages back. Lent packets stay valid until given back. Not beside
  /// give_back().
  void release();

  Result<Poll> poll(unsigned budget);
  [[nodiscard]] bool arm();
  /// Posts free pages; true when the peer asked to be notified of them. [NETIF-RX-043]
  [[nodiscard]] bool refill();
  /// True when pages went to the ring at once and the peer asked to be notified.
  [[nodiscard]] bool give_back(const RxPacket& packet);
  /// Packets the client has not given back.
  unsigned lent() const { return static_cast<unsigned>(kPages - free_lents_.size()); }

  /// `tap` sees the ring's traffic, over reconnects too; nullptr for none.
  void attach(ring::Tap* tap);
  xenbus::GrantRef ring_ref() const { return ring_page_.ref(); }
  /// Free-running index of the next response.
  uint32_t next_response() const { return ring_ ? ring_->next_response() : 0; }
  const RxStatistics& statistics() const { return statistics_; }

 private:
  using Ring = ring::FrontRing<netif_rx_request_t, netif_rx_response_t>;
  static constexpr unsigned kPages = 2 * kRingSlots;
  static constexpr unsigned kMaxFragments = XEN_NETIF_NR_SLOTS_MIN;
  static constexpr uint32_t kMaxPacket = 0xffff;
  static constexpr unsigned kRefillBatch = 32;

  /// What was posted in one ring slot.
  struct Posted {
    uint16_t page = 0;
    xenbus::GrantRef ref = 0;
  };
  struct Lent {
    RxPacket packet;
    std::array<Fragment, kMaxFragments> fragments;
    std::array<uint16_t, kMaxFragments> pages{};
    uint16_t count = 0;
  };
  /// The packet whose slots are coming in.
  struct Assembly {
    bool active = false;
    bool more_data = false;
    bool more_extra = false;
    std::optional<RxDrop> drop;
    uint16_t lent = 0;
  };

  Status allocate_pages();
  bool post_one();
  Status consume(const netif_rx_response_t& response, uint16_t index);
  void begin(const netif_rx_response_t& response);
  std::optional<RxDrop> examine(const netif_rx_response_t& response, bool first) const;
  void consume_data(const netif_rx_response_t& response, Posted& posted);
  void consume_extra(const netif_extra_info_t& extra, Posted& posted);
  void take_page(Posted& posted, const netif_rx_response_t& response);
  void take_gso(const netif_extra_info_t& extra, RxPacket& packet);
  void take_hash(const netif_extra_info_t& extra, RxPacket& packet);
  void note_drop(RxDrop reason);
  void finish();
  void follow_hash();
  void hash(RxPacket& packet) const;
  void recycle(const Posted& posted);
  void reclaim(const Posted& posted);
  void free_lent(uint16_t index);

  platform::Platform& platform_;
  Queue& queue_;
  Client& client_;
  Connection connection_;
  std::optional<Ring> ring_;
  ring::Tap* tap_ = nullptr;
  GrantedPage ring_page_;
  platform::Array<platform::Page> pages_;
  platform::Array<Lent> lents_;
  IndexStack<kPages> free_pages_;
  IndexStack<kPages> free_lents_;
  std::array<Posted, kRingSlots> posted_;
  std::array<Posted, kRingSlots> recycled_;  ///< granted still, to be posted first
  unsigned recycled_count_ = 0;
  uint32_t next_request_ = 0;  ///< free-running, as the ring's
  uint32_t next_response_ = 0;
  bool polling_ = false;
  Assembly assembly_;
  RxStatistics statistics_;

  uint32_t hash_version_ = 0;  ///< of HashSettings, as last followed
  bool hash_set_up_ = false;   ///< in this connection, some time
  HashTypes hash_types_ = 0;
  Toeplitz toeplitz_;
};

}  // namespace ringside::xenvif
