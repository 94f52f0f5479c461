#pragma once

#include <sys/types.h>

#include <string>

#include "benches/vif_traffic.hpp"

namespace ringside::benches {

/// DPDK's testpmd with both ends of one virtio device in it: net_null, virtio_user, vhost,
/// net_null.
///
/// One polling thread does it all. It makes packets of a pool's buffers (without writing to
/// them), puts them on the virtqueue, takes them off at the other end into other buffers, which is
/// the one copy, and frees those; so what is counted is what VifTraffic counts.
class Testpmd {
 public:
  struct Config {
    Direction direction = Direction::kTransmit;  ///< from virtio_user to vhost, or back
    uint32_t bytes = 64;
    unsigned queues = 1;
    bool packed = false;  ///< the packed ring, in order; else the split one
    unsigned cpu = 0;     ///< of the polling thread
  };

  /// Throws NoMeasurement with what is missing.
  explicit Testpmd(const Config& config);
  ~Testpmd();
  Testpmd(const Testpmd&) = delete;
  Testpmd& operator=(const Testpmd&) = delete;

  /// Forwards for `seconds` of its CPU time. Nanoseconds of it a packet.
  double measure(double seconds);

 private:
  void spawn();
  void attach();
  std::string ask(const std::string& command);
  std::string await(const char* text);
  void finish();

  Config config_;
  std::string folder_;
  pid_t child_ = -1;
  int terminal_ = -1;
};

}  // namespace ringside::benches
