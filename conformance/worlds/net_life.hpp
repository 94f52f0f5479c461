#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "conformance/rig/ring_tap.hpp"
#include "conformance/worlds/device_life.hpp"
#include "conformance/worlds/scenario.hpp"
#include "protocols/xenvif/vif.hpp"

namespace ringside::conformance {

/// One end of a cable: sends numbered frames and takes the other end's.
///
/// Each packet must be completed once; what arrives must have been sent, in that order, once,
/// with every byte right. Nothing may be missing while neither end lost its connection.
class NetLife final : public DeviceLife<xenvif::Vif>, private xenvif::Client {
 public:
  /// The handle tells this end's frames from all others.
  NetLife(DriverGuest& guest, const sim::VifConfig& config, Peers peers, const Scenario& scenario);
  ~NetLife();

  /// The other end of the cable; before run().
  void join(NetLife& other) { other_ = &other; }
  /// The whole life, as a job in the guest.
  void run();
  uint64_t sent() const { return sent_; }
  /// When both ends are done: what is missing.
  void check_arrivals();

 private:
  struct Outgoing {
    std::vector<platform::Page> pages;
    std::vector<xenvif::Fragment> fragments;
    std::optional<xenvif::TxStatus> status;
  };

  void transmitted(xenvif::Queue& queue, uint64_t cookie, xenvif::TxStatus status) override;
  void room(xenvif::Queue& queue) override;
  void received(xenvif::Queue& queue, const xenvif::RxPacket& packet) override;
  void link_changed(xenvif::LinkState link) override;

  void send_round(unsigned count);
  void send(uint32_t number);
  bool lay_out(uint32_t number, Outgoing& out);
  std::vector<std::byte> frame(uint32_t id, uint32_t number, size_t size) const;
  void check(const std::vector<std::byte>& bytes);
  bool cable_lossy() const { return downs_ > 0 || other_->downs_ > 0; }
  void settle();

  const Scenario& scenario_;
  uint32_t id_;
  sim::Random random_;
  RingTap transmit_tap_;
  RingTap receive_tap_;
  NetLife* other_ = nullptr;
  std::map<uint32_t, Outgoing> outgoing_;
  uint32_t next_number_ = 0;
  uint64_t handed_over_ = 0;
  uint64_t completed_ = 0;
  uint64_t received_ = 0;
  uint32_t next_expected_ = 0;
  bool up_ = false;
  bool leaving_ = true;
  // Read by the other end, which may run on another thread.
  std::atomic<uint64_t> sent_ = 0;  ///< completed as sent
  std::atomic<bool> over_ = false;  ///< no more rounds
  std::atomic<unsigned> connected_rounds_ = 0;
  std::atomic<unsigned> sent_rounds_ = 0;
  std::atomic<unsigned> downs_ = 0;  ///< connections lost, not left
};

}  // namespace ringside::conformance
