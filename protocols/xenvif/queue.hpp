#pragma once

#include <cstdint>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/interfaces/services.hpp"
#include "protocols/xenbus/node.hpp"
#include "protocols/xenvif/client.hpp"
#include "protocols/xenvif/features.hpp"
#include "protocols/xenvif/receiver.hpp"
#include "protocols/xenvif/transmitter.hpp"

namespace ringside::xenvif {

/// One pair of rings with its grants and event channels.
///
/// Belongs to one CPU: transmit(), flush(), give_back() and the event handlers must run
/// there and not overlap; nothing here takes a lock. Source: xen/io/netif.h.
class Queue {
 public:
  /// Called at dispatch level when the peer broke the protocol.
  struct Owner {
    virtual void queue_failed(Status why) = 0;

   protected:
    ~Owner() = default;
  };

  Queue(const xenbus::Services& services, unsigned index, Client& client, Owner& owner);
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Takes `packet`, which transmitted() will end, and puts it on the ring where flush()
  /// makes it visible. kNoResources: not taken, room() follows. kClosed: not taken, there
  /// is no connection.
  Status transmit(const TxPacket& packet);
  /// Shows the peer what was transmitted since the last flush and notifies it if it asked.
  void flush();
  /// Takes a lent packet back; its pages go to the ring again.
  void give_back(const RxPacket& packet);

  /// Onlookers of the two rings' traffic; nullptr for none.
  void attach(ring::Tap* transmit, ring::Tap* receive) {
    transmitter_.attach(transmit);
    receiver_.attach(receive);
  }

  unsigned index() const { return index_; }
  const TxStatistics& transmit_statistics() const { return transmitter_.statistics(); }
  const RxStatistics& receive_statistics() const { return receiver_.statistics(); }

  // --- for the vif, at passive level ----------------------------------------------------
  Status prepare(xenbus::DomainId peer, const BackendFeatures& features, const Settings& settings);
  /// Writes this queue's transport nodes and removes those it does not use. [NETIF-NEG-003]
  Status publish(const xenbus::Node& directory) const;
  void start();
  void stop();
  void release();

 private:
  void transmit_event();
  void receive_event();
  void common_event();
  void judge(xenbus::EventChannel& channel, uint32_t responses, uint32_t& seen);
  void serve_transmitter();
  void serve_receiver();
  void serve_both();
  void timer_expired();
  void notify_receiver();
  void defer(platform::Nanoseconds delay);
  void fail(Status why);
  Status open_channels(xenbus::DomainId peer, bool split);

  xenbus::Services services_;
  unsigned index_;
  Client& client_;
  Owner& owner_;
  Transmitter transmitter_;
  Receiver receiver_;
  Owned<xenbus::GrantCache> grants_;
  Owned<xenbus::EventChannel> tx_channel_;  ///< both directions when not split
  Owned<xenbus::EventChannel> rx_channel_;  ///< only when split
  Owned<platform::Timer> timer_;
  uint32_t seen_tx_ = 0;  ///< responses taken by the end of the channel's last event
  uint32_t seen_rx_ = 0;
  bool running_ = false;
  bool failed_ = false;
};

}  // namespace ringside::xenvif
