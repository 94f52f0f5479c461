#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include "backends/netback/port.hpp"
#include "conformance/rig/vif_device.hpp"

namespace ringside::benches {

enum class Direction : uint8_t { kTransmit, kReceive };

/// How the back end gets at what the guest sends; what it receives is always copied in.
enum class Way : uint8_t {
  kGranted,     ///< the headers copied by the front end, the rest granted in place
  kCopied,      ///< all of it copied to pages of the front end's
  kPersistent,  ///< and those pages mapped as long as there is a connection (static grants)
};

struct TrafficShape {
  Direction direction = Direction::kTransmit;
  uint32_t bytes = 64;  ///< of a frame; beyond a page it is one GSO packet of TCP over IPv4
  Way way = Way::kGranted;
  unsigned queues = 1;
  unsigned vifs = 1;
};

/// A GSO packet of 64 KiB as Linux makes them: 44 segments of 1,460 bytes and their headers.
inline constexpr uint32_t kLargest = 54 + 44 * 1460;

/// Packets in flight on one queue: what both sides move at a time.
constexpr unsigned burst_of(uint32_t bytes) { return bytes > platform::kPageSize ? 8 : 32; }

/// What could not be measured, and why.
class NoMeasurement : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Guests whose vifs carry packets to a port that swallows them, or from one that makes them.
///
/// Everything runs on the calling thread: front ends, simulated Xen, netback. One packet is all
/// the way from transmit() to the port and back to transmitted(), or from the port to received()
/// and its pages posted again.
class VifTraffic {
 public:
  /// Throws NoMeasurement, also when a vif does not connect.
  explicit VifTraffic(const TrafficShape& shape);
  ~VifTraffic();
  VifTraffic(const VifTraffic&) = delete;
  VifTraffic& operator=(const VifTraffic&) = delete;

  /// Moves packets for about `seconds` of this process' CPU time. Nanoseconds of it a packet.
  double measure(double seconds);

 private:
  class FramePort;
  class Lane;
  struct Side;

  unsigned round(Side& side);
  void add_side(unsigned vifs);

  TrafficShape shape_;
  conformance::Host host_;
  std::vector<std::unique_ptr<FramePort>> ports_;  // netback knows them to its end
  std::unique_ptr<conformance::NetbackActor> netback_;
  std::vector<std::unique_ptr<Side>> sides_;
};

/// CPU time of a process since it began, in seconds; the caller's own with 0.
double cpu_seconds(int pid);

}  // namespace ringside::benches
