#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "conformance/live/tap_lane.hpp"
#include "protocols/xenvif/vif.hpp"

namespace ringside::conformance {

/// The network stack of a guest, lent by the kernel under the bench: what it sends to a TAP
/// interface goes out through a vif, what the vif receives is written to the TAP. Each queue of
/// the vif is joined to one of the TAP's.
class GuestTap final : public xenvif::Client {
 public:
  /// Of all lanes.
  TapLane::Counters counters() const;
  bool up() const { return up_.load(); }

  /// From outside the actors, when the vif is up: one device for each of its queues.
  void attach(DriverGuest& guest, xenvif::Vif& vif, std::vector<backends::TapDevice> devices,
              backends::Poller& poller);
  /// From outside the actors: the TAP is not read any more.
  void stop();

  void transmitted(xenvif::Queue& queue, uint64_t cookie, xenvif::TxStatus status) override;
  void room(xenvif::Queue& queue) override;
  void received(xenvif::Queue& queue, const xenvif::RxPacket& packet) override;
  void link_changed(xenvif::LinkState link) override;

 private:
  std::vector<std::unique_ptr<TapLane>> lanes_;
  std::atomic<bool> attached_ = false;  ///< lanes_ does not change any more
  std::atomic<bool> up_ = false;
};

}  // namespace ringside::conformance
