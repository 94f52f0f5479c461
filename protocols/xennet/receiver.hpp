#pragma once

#include <array>
#include <optional>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/xennet/configuration.hpp"
#include "protocols/xennet/net_buffer.hpp"
#include "protocols/xennet/port.hpp"
#include "protocols/xenvif/client.hpp"
#include "protocols/xenvif/connection.hpp"
#include "protocols/xenvif/cursor.hpp"
#include "protocols/xenvif/headers.hpp"
#include "protocols/xenvif/index_stack.hpp"

namespace ringside::xennet {

/// The receiving half of the miniport for one queue: packets in, lists up.
///
/// A packet's headers are copied into a buffer of our own, where tags are taken out and
/// checksums put in; the rest stays in XENVIF's pages until the last list that shows them has
/// come back. [XENNET-010]
class Receiver {
 public:
  class Owner {
   public:
    /// `chain` is the protocol's until Receiver::give_back(), or with kReceiveResources until
    /// this returns. On the CPU it is meant for, no lock of ours is held.
    virtual void received(NetBufferList* chain, uint32_t count, uint32_t flags) = 0;
    /// All lists have come back since drain().
    virtual void drained() = 0;

   protected:
    ~Owner() = default;
  };

  Receiver(platform::Platform& platform, unsigned cpu, Port& port, Owner& owner)
      : platform_(platform), cpu_(cpu), port_(port), owner_(owner) {}
  ~Receiver();
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;
  Status create_parts();

  /// The receiver that a list comes from.
  static Receiver& of(const NetBufferList& list);

  // --- any CPU, up to dispatch level --------------------------------------------------------
  /// Takes back one list that received() handed over.
  void give_back(NetBufferList& list);
  void configure(const Configuration& configuration);
  /// Lets packets through, until drain().
  void open();
  /// Nothing goes up any more; Owner::drained() follows, once, when all lists are back.
  void drain();
  Traffic statistics();

  // --- from XENVIF: on the queue's CPU ------------------------------------------------------
  void received(const xenvif::RxPacket& packet);
  void served();

 private:
  static constexpr unsigned kBuffers = 2 * xenvif::kRingSlots;
  static constexpr unsigned kMaxPieces = 1 + XEN_NETIF_NR_SLOTS_MIN;
  static constexpr uint32_t kHead = 256;
  static constexpr unsigned kHeadsPerPage = platform::kPageSize / kHead;
  // Below so many buffers, or above so many of XENVIF's pages, lists are lent for the length
  // of the call only.
  static constexpr unsigned kFewBuffers = 64;
  static constexpr unsigned kManyPages = 192;

  /// One list with its only packet, and where that lies.
  struct Buffer {
    NetBufferList list;
    NetBuffer packet;
    std::array<Mdl, kMaxPieces> mdls;
    std::array<uintptr_t, kMaxPieces> frames{};
    Receiver* owner = nullptr;
    uint16_t source = 0;  ///< in sources_, or kNoSource
    bool is_up = false;   ///< the protocol has it
  };
  /// A packet of XENVIF's and how many buffers show its pages.
  struct Source {
    xenvif::RxPacket packet;
    unsigned users = 0;
  };
  /// Lists on their way to one CPU.
  struct Batch {
    Receiver* owner = nullptr;
    unsigned cpu = 0;
    Chain chain;
    Owned<platform::Timer> timer;
    void expired() { owner->hand_over(*this); }
  };
  /// A frame as it came, its headers already in a buffer of ours.
  struct Incoming {
    std::span<std::byte> head;  ///< without the tag, if there was one
    uint32_t total = 0;         ///< bytes of the frame, likewise
    uint32_t removed = 0;       ///< bytes of the tag
    uint32_t vlan = 0;
    Cast cast = Cast::kDirected;
    xenvif::Headers headers;
    xenvif::Checksum checksum = xenvif::Checksum::kUnknown;
    xenvif::Gso gso;
    xenvif::PacketHash hash;
    std::span<const xenvif::Fragment> fragments;
  };
  enum class Verdict : uint8_t { kUp, kUnwanted, kBad, kNoBuffer };
  static constexpr uint16_t kNoSource = 0xffff;

  Status create_buffers();
  Status create_batches();
  std::byte* head_of(uint16_t index) const {
    return heads_[index / kHeadsPerPage].address + index % kHeadsPerPage * kHead;
  }

  // receive_packet.cpp: what becomes of a packet.
  Verdict accept(const xenvif::RxPacket& packet);
  bool take_head(const xenvif::RxPacket& packet, std::byte* head, Incoming& in) const;
  Verdict show_whole(const xenvif::RxPacket& packet, Incoming& in, uint16_t index);
  Verdict show_segments(const xenvif::RxPacket& packet, Incoming& in, uint16_t index);
  bool coalesces(const Incoming& in) const;
  uint32_t judge_checksums(const Incoming& in) const;
  uint32_t judge_transport(const Incoming& in) const;
  uint8_t offload_of(const xenvif::Headers& headers) const;
  void fill_in(const Incoming& in, std::span<std::byte> head, xenvif::Cursor rest,
               uint32_t total) const;
  void lay_out(Buffer& buffer, uint16_t index, uint32_t in_head, xenvif::Cursor rest,
               uint32_t length) const;
  void put(uint16_t index, const Incoming& in, uint32_t checksum);

  // receiver.cpp: who has it.
  uint16_t borrow(const xenvif::RxPacket& packet);
  void release(Buffer& buffer);
  void reclaim();
  void hand_over(Batch& batch);
  void take_back(NetBufferList& list);
  void check_drained();
  void expired();

  platform::Platform& platform_;
  unsigned cpu_;
  Port& port_;
  Owner& owner_;
  Owned<platform::Lock> lock_;  ///< all below; never held across a call of the owner's
  Owned<platform::Timer> timer_;
  platform::Array<platform::Page> heads_;
  platform::Array<Buffer> buffers_;
  platform::Array<Source> sources_;
  platform::Array<Batch> batches_;  ///< one for each CPU
  xenvif::IndexStack<kBuffers> free_buffers_;
  xenvif::IndexStack<kBuffers> free_sources_;
  Chain returned_;           ///< back from the protocol, still to be released on our CPU
  unsigned held_pages_ = 0;  ///< of XENVIF's
  bool open_ = false;
  bool draining_ = false;
  Configuration configuration_;
  Traffic statistics_;
};

}  // namespace ringside::xennet
