#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/netback/guest_queue.hpp"

namespace ringside::backends {

/// One vif's back end: the xenbus state machine around its queues.
///
/// Source: xen/io/xenbus.h, xen/io/netif.h; the order of states is that of Linux' netback.
class VifBackend {
 public:
  /// `path` is its own directory in the store.
  VifBackend(Handles& handles, const NetbackProfile& profile, std::string path, uint16_t domain,
             Port* port);
  ~VifBackend();
  VifBackend(const VifBackend&) = delete;
  VifBackend& operator=(const VifBackend&) = delete;

  /// Publishes the features and follows the front end from here on.
  void start();
  /// Something changed in its own directory or in the front end's state.
  void changed();
  bool event(evtchn_port_t port);
  /// The port behind it may have frames, or room for some.
  void port_changed();
  /// Moves all packets that can move.
  void pump();

  bool connected() const { return state_ == XenbusStateConnected; }
  const NetbackStatistics& statistics() const { return statistics_; }

 private:
  static constexpr size_t kBacklog = 256;  ///< frames kept for a guest that has no room

  bool publish_features();
  void become(xenbus_state state);
  void connect();
  bool read_keys(std::vector<QueueKeys>& keys, std::string& why) const;
  bool read_queue(const std::string& directory, QueueKeys& keys, std::string& why) const;
  GuestFeatures read_guest_features() const;
  void disconnect();
  void fail(const std::string& why);
  GuestQueue& queue_for(const Frame& frame);

  Handles& handles_;
  StoreView store_;
  const NetbackProfile& profile_;
  std::string path_;
  std::string frontend_;
  uint16_t domain_;
  Port* port_;
  bool port_due_ = true;
  xenbus_state state_ = XenbusStateUnknown;
  NetbackStatistics statistics_;
  std::vector<std::unique_ptr<GuestQueue>> queues_;
};

}  // namespace ringside::backends
