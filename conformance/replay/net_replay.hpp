#pragma once

#include <map>
#include <string>

#include "conformance/replay/capture.hpp"
#include "conformance/replay/replay_options.hpp"

namespace ringside::conformance {

/// What became of a replayed capture. frames == delivered + segmented + all of dropped.
struct NetReplayReport {
  size_t frames = 0;
  size_t delivered = 0;                   ///< arrived as one frame
  size_t segmented = 0;                   ///< arrived as the segments of one frame
  size_t segments = 0;                    ///< how many those were
  std::map<std::string, size_t> dropped;  ///< by reason
  uint64_t bytes = 0;                     ///< received and compared
  size_t blank = 0;                       ///< travelled with a blank checksum
  size_t gso = 0;                         ///< travelled as GSO
  size_t padded = 0;                      ///< shorter than an Ethernet frame may be
  uint64_t recorded = 0;                  ///< frames written to the record, of either vif
  Findings findings;
  std::string digest;
  std::string backend;
  uint64_t seed = 0;
  double seconds = 0;

  size_t dropped_count() const;
  /// "592 frames: 592 delivered, 0 segmented, 0 dropped", with the reasons.
  std::string account() const;
  std::string to_json() const;
};

/// Sends each frame from one guest's vif through netback to another guest's vif, in one
/// seeded world, and compares what arrives: byte for byte, in order, exactly once. Anything
/// left behind in the host afterwards is a finding too.
NetReplayReport replay_net(const std::vector<CapturedFrame>& capture, const ReplayOptions& options);

}  // namespace ringside::conformance
