#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conformance/replay/traffic.hpp"
#include "conformance/rig/driver_guest.hpp"
#include "protocols/xenvif/client.hpp"
#include "protocols/xenvif/queue.hpp"

namespace ringside::conformance {

/// The network stack of the sending guest: lays each frame into pages as stacks do (header
/// apart or not, data starting anywhere) and sends it.
class TrafficSource final : public xenvif::Client {
 public:
  TrafficSource(DriverGuest& guest, std::span<const TrafficFrame> frames);
  ~TrafficSource();
  TrafficSource(const TrafficSource&) = delete;
  TrafficSource& operator=(const TrafficSource&) = delete;

  /// Sends all frames and waits until each was completed. From outside the actors.
  void send_all(xenvif::Queue& queue);

  /// How each frame ended; nothing for those never handed over or never completed.
  const std::vector<std::optional<xenvif::TxStatus>>& statuses() const { return statuses_; }
  /// Completions that should not have been: twice, or for a frame never sent.
  const std::vector<std::string>& violations() const { return violations_; }

  void transmitted(xenvif::Queue& queue, uint64_t cookie, xenvif::TxStatus status) override;
  void room(xenvif::Queue& queue) override;
  void received(xenvif::Queue& queue, const xenvif::RxPacket& packet) override;
  void link_changed(xenvif::LinkState) override {}

 private:
  struct Outgoing {
    std::vector<platform::Page> pages;
    std::vector<xenvif::Fragment> fragments;
  };
  void send_in_guest(xenvif::Queue& queue);
  Status send(xenvif::Queue& queue, size_t index);
  void lay_out(ByteView bytes, Outgoing& out);
  void lay_run(ByteView bytes, size_t offset, Outgoing& out);
  void release(Outgoing& out);

  DriverGuest& guest_;
  std::span<const TrafficFrame> frames_;
  sim::Random random_;
  std::vector<Outgoing> outgoing_;
  std::vector<std::optional<xenvif::TxStatus>> statuses_;
  std::vector<std::string> violations_;
  Owned<platform::Event> progress_;
  size_t handed_over_ = 0;
  size_t completed_ = 0;
};

/// The network stack of the receiving guest: keeps what arrives.
class TrafficSink final : public xenvif::Client {
 public:
  const std::vector<ReceivedFrame>& frames() const { return frames_; }

  void transmitted(xenvif::Queue&, uint64_t, xenvif::TxStatus) override {}
  void room(xenvif::Queue&) override {}
  void received(xenvif::Queue& queue, const xenvif::RxPacket& packet) override;
  void link_changed(xenvif::LinkState) override {}

 private:
  std::vector<ReceivedFrame> frames_;
};

}  // namespace ringside::conformance
