#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backends/netback/multicast_list.hpp"
#include "backends/netback/netback.hpp"
#include "backends/netback/static_grants.hpp"
#include "backends/xenbus/handles.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/ring/back_ring.hpp"

namespace ringside::backends {

/// What the front end's nodes say it can take.
struct GuestFeatures {
  bool scatter_gather = false;
  bool gso_v4 = false;
  bool gso_v6 = false;
  bool checksum_v4 = true;
  bool checksum_v6 = false;
  bool rx_notify = false;
};

/// Where one queue's rings and channels are, as the front end's nodes name them.
struct QueueKeys {
  uint32_t tx_ref = 0;
  uint32_t rx_ref = 0;
  uint32_t tx_port = 0;
  std::optional<uint32_t> rx_port;  ///< nothing: one channel for both
};

/// What the queues of a vif share, and what of the vif's is this queue's.
struct QueueContext {
  const NetbackProfile& profile;
  NetbackStatistics& statistics;
  MulticastList& multicast;
  const StaticGrants& grants;
  FramePool& pool;
};

/// One connected pair of rings, the back end's side.
///
/// The guest is not trusted: what it writes is copied once, checked, and costs at most its
/// own packets; only rings that make no sense at all end the connection.
class GuestQueue {
 public:
  /// Maps the rings and binds the channels; nullptr when the guest's keys do not work.
  static std::unique_ptr<GuestQueue> connect(Handles& handles, uint16_t domain,
                                             const QueueKeys& keys, const GuestFeatures& guest,
                                             const QueueContext& context);
  ~GuestQueue();
  GuestQueue(const GuestQueue&) = delete;
  GuestQueue& operator=(const GuestQueue&) = delete;

  /// Notes that `port` (ours) had an event; false when it is none of this queue's.
  bool event(evtchn_port_t port);
  void look_at_transmit() { tx_due_ = true; }

  /// Gives `port` what the guest sent. False: the ring makes no sense.
  bool serve_transmit(Port* port);
  /// Gives the guest the frames in `backlog` for which it has posted pages. False: as above.
  bool serve_receive();
  std::deque<Frame>& backlog() { return backlog_; }

 private:
  using TxRing = ring::BackRing<netif_tx_request_t, netif_tx_response_t>;
  using RxRing = ring::BackRing<netif_rx_request_t, netif_rx_response_t>;
  static constexpr unsigned kMaxSlots = XEN_NETIF_NR_SLOTS_MIN;
  static constexpr unsigned kRingSlots = 256;
  static constexpr unsigned kBatch = 32;  ///< packets whose copies go out as one call

  /// One packet as the guest described it.
  struct Sent {
    std::vector<netif_tx_request_t> slots;
    unsigned extras = 0;
    bool good = true;
    bool dummy = false;  ///< there only for its extras
    Frame frame;
  };
  enum class Taken : uint8_t { kNothing, kPacket, kNonsense };

  GuestQueue(Handles& handles, uint16_t domain, const GuestFeatures& guest,
             const QueueContext& context)
      : handles_(handles),
        domain_(domain),
        guest_(guest),
        profile_(context.profile),
        statistics_(context.statistics),
        multicast_(context.multicast),
        grants_(context.grants),
        pool_(context.pool) {}

  bool attach(const QueueKeys& keys);
  void* map(uint32_t ref);

  // guest_transmit.cpp
  Taken take_packet(Sent& packet);
  Taken take_extras(Sent& packet);
  void take_extra(const netif_extra_info_t& extra, Sent& packet) const;
  void take_gso(const netif_extra_info_t& extra, Sent& packet) const;
  void take_hash(const netif_extra_info_t& extra, Sent& packet) const;
  void take_multicast(const netif_extra_info_t& extra, Sent& packet) const;
  void check(Sent& packet) const;
  bool gso_allowed(uint8_t type) const;
  void fetch(std::span<Sent> packets);
  void fetch(Sent& packet);
  bool fetch_by_map(const netif_tx_request_t& slot, std::byte* to);
  void answer(const Sent& packet, int16_t status);
  void deliver(Sent& packet, Port* port);

  // guest_receive.cpp
  bool take_buffers();
  bool adapt(Frame& frame);
  size_t slots_for(const Frame& frame) const;
  void place(const Frame& frame);
  void place_extras(const Frame& frame);
  void put_batch();
  void segment(const Frame& frame);

  Handles& handles_;
  uint16_t domain_;
  GuestFeatures guest_;
  const NetbackProfile& profile_;
  NetbackStatistics& statistics_;
  MulticastList& multicast_;
  const StaticGrants& grants_;
  FramePool& pool_;

  void* tx_page_ = nullptr;
  void* rx_page_ = nullptr;
  TxRing tx_ring_;
  RxRing rx_ring_;
  int tx_port_ = -1;
  int rx_port_ = -1;
  bool tx_due_ = true;
  bool rx_due_ = true;
  bool starved_ = false;  ///< frames wait for the guest to post pages

  std::vector<Sent> batch_;
  std::deque<Frame> backlog_;
  std::deque<netif_rx_request_t> buffers_;  ///< taken from the ring, not yet answered

  /// A response in the making: `copy` is the index of its copy, or -1.
  struct Answer {
    netif_rx_response_t response;
    int copy;
  };
  std::vector<Answer> answers_;
  std::vector<xengnttab_grant_copy_segment_t> copies_;
  std::vector<Sent*> copied_for_;  ///< whose packet each copy is, while sending
  std::vector<Frame> placed_;      ///< those that copies_ reads from, while receiving
};

}  // namespace ringside::backends
