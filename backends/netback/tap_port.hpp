#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/netback/poller.hpp"
#include "backends/netback/port.hpp"
#include "backends/netback/tap_device.hpp"

namespace ringside::backends {

/// A port with the real network stack of this machine behind it, through a TAP interface.
/// Checksums left blank and TCP packets left whole stay so in both directions.
class TapPort final : public Port {
 public:
  /// One side's frames; read them when nobody uses the port any more.
  struct Counters {
    uint64_t to_network = 0;
    uint64_t to_guest = 0;
    uint64_t refused = 0;  ///< sent by the guest, not taken by the kernel
    uint64_t unknown = 0;  ///< from the kernel, and nothing that netif can carry
  };

  /// `poller` wakes the port's user when there are frames, and must outlive the port. Nothing
  /// comes from a device that the poller can't wait for.
  TapPort(TapDevice device, Poller& poller);
  ~TapPort() override;
  TapPort(const TapPort&) = delete;
  TapPort& operator=(const TapPort&) = delete;

  void sent(Frame&& frame) override;
  bool receive(Frame& frame) override;

  const Counters& counters() const { return counters_; }

 private:
  static constexpr unsigned kBatch = 64;  ///< frames before the other direction gets its turn

  TapDevice device_;
  Poller& poller_;
  Counters counters_;
  unsigned taken_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace ringside::backends
