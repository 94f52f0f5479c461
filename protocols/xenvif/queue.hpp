#pragma once

#include <cstdint>

#include "protocols/platform/cpu_call.hpp"
#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/interfaces/services.hpp"
#include "protocols/xenbus/node.hpp"
#include "protocols/xenvif/client.hpp"
#include "protocols/xenvif/features.hpp"
#include "protocols/xenvif/multicast_filter.hpp"
#include "protocols/xenvif/receiver.hpp"
#include "protocols/xenvif/transmitter.hpp"

namespace ringside::xenvif {

/// One pair of rings with its grants and event channels.
///
/// Belongs to one CPU: transmit(), flush(), give_back() and the event handlers must run there, at
/// dispatch level. While there is a connection they take no lock; it begins and ends on that CPU
/// too. Source: xen/io/netif.h.
class Queue {
 public:
  /// Called at dispatch level when the peer broke the protocol.
  struct Owner {
    virtual void queue_failed(Status why) = 0;
    /// Packets can be sent. At dispatch level on the queue's CPU.
    virtual void queue_started(Queue& queue) = 0;

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

  /// Sends a frame of the driver's own, of which the client hears nothing.
  Status transmit_own(std::span<const std::byte> frame) { return transmitter_.transmit_own(frame); }
  /// Which multicast addresses the back end is to let through, also after a reconnect, when it
  /// filters them. kTooLarge beyond MulticastFilter::kMost. To be called as transmit().
  Status set_multicast(std::span<const MacAddress> addresses);

  /// Onlookers of the two rings' traffic; nullptr for none.
  void attach(ring::Tap* transmit, ring::Tap* receive) {
    transmitter_.attach(transmit);
    receiver_.attach(receive);
  }

  unsigned index() const { return index_; }
  const TxStatistics& transmit_statistics() const { return transmitter_.statistics(); }
  const RxStatistics& receive_statistics() const { return receiver_.statistics(); }

  // --- for the vif, at passive level ----------------------------------------------------
  /// `hash` must outlive the connection.
  Status prepare(xenbus::DomainId peer, const BackendFeatures& features, const Settings& settings,
                 const HashSettings& hash);
  /// The grants of pages that stay granted as long as the connection.
  std::span<const xenbus::GrantRef> static_grants(StaticGrants& into) const {
    return transmitter_.static_grants(into);
  }
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
  void begin();
  void end();
  void tell_multicast();
  Status create_parts();
  Status open_channels(xenbus::DomainId peer, bool split);

  xenbus::Services services_;
  unsigned index_;
  Client& client_;
  Owner& owner_;
  Transmitter transmitter_;
  Receiver receiver_;
  MulticastFilter multicast_;
  bool multicast_told_ = true;  ///< or the back end filters none
  bool filters_multicast_ = false;
  Owned<xenbus::GrantCache> grants_;
  Owned<xenbus::EventChannel> tx_channel_;  ///< both directions when not split
  Owned<xenbus::EventChannel> rx_channel_;  ///< only when split
  Owned<platform::Timer> timer_;
  uint32_t seen_tx_ = 0;  ///< responses taken by the end of the channel's last event
  uint32_t seen_rx_ = 0;
  platform::CpuCall switch_;         ///< to running or not, where nothing else runs beside it
  Owned<platform::Lock> idle_lock_;  ///< between give_back() and the device, while not running
  bool to_run_ = false;              ///< of the device: between start() and stop()
  bool running_ = false;             ///< of this CPU
  bool failed_ = false;
};

}  // namespace ringside::xenvif
