#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "backends/netback/poller.hpp"
#include "backends/netback/tap_device.hpp"
#include "backends/netback/vnet_header.hpp"
#include "conformance/rig/driver_guest.hpp"
#include "protocols/xenvif/queue.hpp"

namespace ringside::conformance {

/// Between one queue of a vif and one of a TAP interface: what the kernel sends to the TAP is
/// read into pages of the guest and transmitted, what the vif receives is written to the TAP.
///
/// Runs on the queue's CPU, but for start() and stop().
class TapLane {
 public:
  struct Counters {
    uint64_t read = 0;           ///< frames from the TAP
    uint64_t read_gso = 0;       ///< of them: TCP packets for several
    uint64_t read_blank = 0;     ///< of them: without a checksum
    uint64_t unknown = 0;        ///< of them: nothing that netif can carry
    uint64_t unsent = 0;         ///< of them: not taken by the vif, or by the back end
    uint64_t written = 0;        ///< frames to the TAP
    uint64_t written_gso = 0;    ///< of them: as above
    uint64_t written_blank = 0;  ///< of them: as above
    uint64_t refused = 0;        ///< received, and not taken by the kernel

    Counters& operator+=(const Counters& other);
  };

  TapLane(DriverGuest& guest, unsigned cpu, backends::TapDevice device);
  ~TapLane();
  TapLane(const TapLane&) = delete;
  TapLane& operator=(const TapLane&) = delete;

  /// From outside the actors: frames flow from here on. Both outlive the lane. Throws Problem.
  void start(xenvif::Queue& queue, backends::Poller& poller);
  /// From outside the actors: nothing is read any more.
  void stop();

  void transmitted(uint64_t cookie, xenvif::TxStatus status);
  /// The ring has room again.
  void go_on() { work_->queue(); }
  /// Passive level, any CPU: the queue can be used again.
  void connect();
  /// Passive level, any CPU: after return no call of the queue is under way, nor will one come.
  void disconnect();
  void received(const xenvif::RxPacket& packet);

  /// When no traffic is left.
  const Counters& counters() const { return counters_; }

 private:
  static constexpr unsigned kBuffers = 128;
  static constexpr unsigned kPagesEach = platform::kMaxRangePages;
  static constexpr unsigned kBatch = 64;  ///< frames between two looks at what came in

  struct Buffer {
    platform::PageRange pages;
    std::array<xenvif::Fragment, kPagesEach> fragments;
    size_t length = 0;
    backends::Offload offload;
  };

  void pump();
  bool fill(Buffer& buffer);
  Status send(uint16_t index);

  DriverGuest& guest_;
  unsigned cpu_;
  backends::TapDevice device_;
  xenvif::Queue* queue_ = nullptr;
  backends::Poller* poller_ = nullptr;
  Owned<platform::Work> work_;
  std::vector<Buffer> buffers_;
  std::vector<uint16_t> free_;
  std::atomic<bool> stopped_ = false;
  std::atomic<bool> connected_ = false;
  std::optional<uint16_t> waiting_;  ///< read, and the ring had no room for it
  bool starved_ = false;             ///< all buffers are under way
  Counters counters_;
};

}  // namespace ringside::conformance
