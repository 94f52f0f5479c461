#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "conformance/replay/pcapng_writer.hpp"
#include "protocols/ring/tap.hpp"
#include "protocols/xenvif/vif.hpp"
#include "sim/machine/domain.hpp"

namespace ringside::conformance {

/// Writes what crosses the rings of vifs to a pcapng file: each frame as it lies in the granted
/// pages, with a comment that names its slots, extras and grants.
class NetRecorder {
 public:
  /// Throws Problem when the file can't be made.
  explicit NetRecorder(const std::string& path);
  ~NetRecorder();
  NetRecorder(const NetRecorder&) = delete;
  NetRecorder& operator=(const NetRecorder&) = delete;

  /// Looks at the first `queues` queues of a vif of `domain` from its next connection on. `name`
  /// is the interface's in the file. The other onlookers are those of queue 0, or nullptr. The
  /// recorder outlives the vif.
  void watch(const std::string& name, sim::Domain& domain, xenvif::Vif& vif, unsigned queues,
             ring::Tap* transmit, ring::Tap* receive);
  /// Frames written. Throws Problem when not all could be. Nothing is recorded any more.
  uint64_t finish();

 private:
  class RingRecorder;
  class TransmitRecorder;
  class ReceiveRecorder;
  struct Chain;
  void write(const Chain& chain);

  PcapngWriter writer_;
  std::mutex mutex_;  // writer_, count_
  uint64_t count_ = 0;
  std::vector<std::unique_ptr<RingRecorder>> taps_;
};

}  // namespace ringside::conformance
