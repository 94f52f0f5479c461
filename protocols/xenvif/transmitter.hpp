#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/ring/front_ring.hpp"
#include "protocols/xenvif/client.hpp"
#include "protocols/xenvif/connection.hpp"
#include "protocols/xenvif/cursor.hpp"
#include "protocols/xenvif/granted_page.hpp"
#include "protocols/xenvif/headers.hpp"
#include "protocols/xenvif/index_stack.hpp"
#include "protocols/xenvif/segmenter.hpp"
#include "protocols/xenvif/staging.hpp"
#include "protocols/xenvif/statistics.hpp"

namespace ringside::xenvif {

inline constexpr unsigned kStagingPages = 96;
using StaticGrants = std::array<xenbus::GrantRef, kStagingPages>;

/// The sending half of a queue: packets in, slots out, each packet completed exactly once.
///
/// A packet's protocol headers are copied into one linear cell, its first slot [NETIF-TX-027];
/// the rest is granted in place, page by page, or copied to own pages where the slots or the
/// peer's features do not suffice. Source: xen/io/netif.h, "Guest transmit".
class Transmitter {
 public:
  Transmitter(platform::Platform& platform, Queue& queue, Client& client)
      : platform_(platform), queue_(queue), client_(client) {}
  ~Transmitter() = default;
  Transmitter(const Transmitter&) = delete;
  Transmitter& operator=(const Transmitter&) = delete;

  /// Allocates the ring and the staging pages and grants them.
  Status prepare(const Connection& connection);
  /// Completes all packets as kDisconnected and gives everything back. The peer is gone.
  void release();

  Status transmit(const TxPacket& packet);
  /// Sends a frame of the driver's own, of which the client hears nothing. Precondition: it fits a
  /// cell.
  Status transmit_own(std::span<const std::byte> frame);
  /// Has the back end let a multicast address through, or no longer. [NETIF-CTL-012]
  Status tell_multicast(bool add, const MacAddress& address);
  /// Shows the peer all slots put so far; true when it asked to be notified.
  [[nodiscard]] bool publish();
  /// Takes up to `budget` responses. kPeerViolation: the connection is to be ended.
  Result<Poll> poll(unsigned budget);
  /// Asks for a notification at the next response; false: poll() again first. [RING-007]
  [[nodiscard]] bool arm();
  /// True while packets wait for the peer to let go of pages it has answered for.
  bool holding() const { return held_count_ > 0; }
  /// Tries again to take those pages back; kPeerViolation when it has been tried too often.
  Status retry_held();

  /// The grants of the pages that packets are copied to.
  std::span<const xenbus::GrantRef> static_grants(StaticGrants& into) const;

  /// `tap` sees the ring's traffic, over reconnects too; nullptr for none.
  void attach(ring::Tap* tap);
  xenbus::GrantRef ring_ref() const { return ring_page_.ref(); }
  /// Free-running index of the next response.
  uint32_t next_response() const { return ring_ ? ring_->next_response() : 0; }
  const TxStatistics& statistics() const { return statistics_; }

 private:
  using Ring = ring::FrontRing<netif_tx_request_t, netif_tx_response_t>;
  /// A packet's head as it was pulled up, and what was found in it.
  struct Head {
    uint16_t cell = 0;
    uint16_t length = 0;    ///< bytes pulled up, padding included
    uint32_t total = 0;     ///< bytes of the frame, padding included
    uint32_t unpadded = 0;  ///< bytes of the client's packet
    Headers headers;
    Checksum checksum = Checksum::kUnknown;
    Gso gso;
    PacketHash hash;
  };
  /// kDummy: of no packet, it only carries extras.
  enum class SlotUse : uint8_t { kFree, kCell, kStagingPage, kGrant, kHeld, kDummy };
  /// What stands behind one request id.
  struct Slot {
    SlotUse use = SlotUse::kFree;
    uint16_t resource = 0;  ///< cell or staging page
    uint16_t packet = 0;
    xenbus::GrantRef ref = 0;
  };
  struct Pending {
    uint64_t cookie = 0;
    uint16_t parts = 0;  ///< slots not yet done, and one while it is still being cut up
    TxStatus status = TxStatus::kSent;
    bool own = false;  ///< the driver's, not the client's
  };
  /// One slot to be.
  struct Piece {
    Slot slot;
    uint16_t offset = 0;
    uint16_t length = 0;
  };
  struct Pieces {
    std::array<Piece, XEN_NETIF_NR_SLOTS_MIN> items;
    unsigned count = 0;
    void add(const Piece& piece) { items[count++] = piece; }
  };
  /// What goes with a packet's first slot.
  struct Label {
    uint32_t total = 0;
    Checksum checksum = Checksum::kUnknown;
    Gso gso;
    PacketHash hash;
  };
  enum class Plan : uint8_t { kLinear, kGrant, kCopy, kOnePage, kSegment, kTooLongForPeer };

  static constexpr unsigned kCellSize = 512;
  static constexpr unsigned kCellsPerPage = platform::kPageSize / kCellSize;
  static constexpr unsigned kCellPages = kRingSlots / kCellsPerPage;
  static constexpr unsigned kCopyPages = kStagingPages - kCellPages;
  static constexpr unsigned kMaxCopied = XEN_NETIF_NR_SLOTS_MIN - 1;
  static constexpr unsigned kMinimumPull = 128;
  static constexpr unsigned kMaxExtras = 2;  ///< of one packet: GSO and hash
  static constexpr unsigned kHeldRetries = 1000;

  // What to do with a packet: transmit_plan.cpp.
  void pull_head(const TxPacket& packet, Head& head);
  TxStatus finish_head(const TxPacket& packet, Head& head);
  TxStatus finish_gso(Head& head, std::span<std::byte> frame) const;
  TxStatus finish_checksum_field(const TxPacket& packet, Head& head, std::span<std::byte> frame);
  Plan plan(const TxPacket& packet, const Head& head) const;
  bool peer_checksums(const Headers& headers) const;
  bool peer_segments(GsoType type) const;

  // Doing it: transmitter.cpp.
  Status create_ring();
  Status send(const TxPacket& packet, Plan plan, const Head& head);
  Status grant_payload(const TxPacket& packet, const Head& head, Pieces& pieces);
  Status copy_payload(const TxPacket& packet, const Head& head, Pieces& pieces);
  void copy_to_one_page(const TxPacket& packet, const Head& head, Pieces& pieces);
  void undo_grants(Pieces& pieces);
  uint16_t open_packet(uint64_t cookie);
  void put(const Pieces& pieces, uint16_t packet, const Label& label);
  void put_extras(const Label& label);
  void put_extra(const netif_extra_info_t& info);
  bool room_for(size_t slots) const;
  Status block();
  Piece cell_piece(const Head& head) const;
  Piece page_piece(uint16_t page, uint32_t length) const;
  std::byte* cell(uint16_t index);
  std::byte* copy_page(uint16_t index) { return staging_.address(kCellPages + index); }

  // Software segmentation: transmit_segments.cpp.
  void begin_segments(const TxPacket& packet, const Head& head);
  void continue_segments();
  void send_segment();

  // Completion: transmit_complete.cpp.
  Status answered(const netif_tx_response_t& response);
  void let_go(uint16_t id);
  void part_done(uint16_t packet, TxStatus status);
  void note(uint16_t packet, TxStatus status);
  void abandon(uint16_t id);
  void complete(uint64_t cookie, TxStatus status);
  void announce_room();

  platform::Platform& platform_;
  Queue& queue_;
  Client& client_;
  Connection connection_;
  std::optional<Ring> ring_;
  ring::Tap* tap_ = nullptr;
  GrantedPage ring_page_;
  Staging staging_;  ///< kCellPages of cells, then kCopyPages whole ones
  std::array<Slot, kRingSlots> slots_;
  std::array<Pending, kRingSlots> packets_;
  IndexStack<kRingSlots> free_ids_;
  IndexStack<kRingSlots> free_packets_;
  IndexStack<kRingSlots> free_cells_;
  IndexStack<kCopyPages> free_pages_;
  uint32_t extras_ = 0;      ///< extra slots whose NETIF_RSP_NULL is still to come
  uint32_t held_count_ = 0;  ///< slots in SlotUse::kHeld
  uint32_t held_retries_ = 0;
  bool blocked_ = false;
  Pieces pieces_;  ///< of send() alone: too large to be made for each packet

  struct Segmenting {
    bool active = false;
    TxPacket packet;
    uint16_t pending = 0;
    bool blank = false;
    std::array<std::byte, kCellSize> head{};
    Headers headers;
    Segmenter segmenter;
    Cursor cursor;
  };
  Segmenting segmenting_;
  TxStatistics statistics_;
};

}  // namespace ringside::xenvif
