#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backends/netback/control.hpp"
#include "backends/netback/guest_queue.hpp"
#include "backends/netback/steering.hpp"
#include "backends/xenbus/backend_device.hpp"

namespace ringside::backends {

/// One vif's back end: its queues and the port behind them. Source: xen/io/netif.h.
class VifBackend final : public BackendDevice {
 public:
  /// `path` is its own directory in the store; `port` may be nullptr. When the port has frames,
  /// or room for some, `wake` asks for service.
  VifBackend(Handles& handles, const NetbackProfile& profile, std::string path, uint16_t domain,
             Port* port, const std::function<void()>& wake);
  ~VifBackend() override;

  bool connected() const override { return state() == XenbusStateConnected; }
  bool event(evtchn_port_t port) override;
  bool due() const override { return due_; }
  /// Moves all packets that can move.
  void pump() override;

  const NetbackStatistics& statistics() const { return statistics_; }

 private:
  static constexpr size_t kBacklog = 256;  ///< frames kept for a guest that has no room

  bool publish_features() override;
  void connect() override;
  void disconnect() override;
  void reread() override;

  bool read_keys(std::vector<QueueKeys>& keys, std::string& why) const;
  bool read_queue(const std::string& directory, QueueKeys& keys, std::string& why) const;
  GuestFeatures read_guest_features() const;
  bool connect_control(unsigned queues, std::string& why);
  bool serve_queues(size_t& waiting);

  const NetbackProfile& profile_;
  Port* port_;
  std::atomic<bool> port_due_ = true;  ///< set by whoever wakes the port
  std::atomic<bool> due_ = true;       ///< something happened since the last pump()
  NetbackStatistics statistics_;
  MulticastList multicast_;
  Steering steering_;
  std::vector<StaticGrants> grants_;  ///< by queue
  FramePool pool_;
  std::unique_ptr<Control> control_;
  std::vector<std::unique_ptr<GuestQueue>> queues_;
};

}  // namespace ringside::backends
