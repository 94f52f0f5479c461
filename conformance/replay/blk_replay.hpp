#pragma once

#include <map>
#include <string>

#include "conformance/replay/image.hpp"
#include "conformance/replay/iolog.hpp"
#include "conformance/replay/payload.hpp"
#include "conformance/replay/replay_options.hpp"

namespace ringside::conformance {

/// What became of a replayed log. requests == done + all of dropped.
struct BlkReplayReport {
  size_t requests = 0;
  size_t done = 0;                        ///< carried out, and read data right
  std::map<std::string, size_t> dropped;  ///< by reason
  size_t reads = 0;                       ///< of those done
  size_t writes = 0;
  size_t syncs = 0;
  size_t trims = 0;
  uint64_t bytes_read = 0;     ///< compared with the model
  uint64_t bytes_written = 0;  ///< and in the image afterwards
  uint64_t device_bytes = 0;   ///< the whole image, compared at the end
  Findings findings;
  std::string digest;
  std::string backend;
  uint64_t seed = 0;
  double seconds = 0;

  size_t dropped_count() const;
  /// "8195 requests: 8195 done (2000 reads, ...), 0 dropped", with the reasons.
  std::string account() const;
  std::string to_json() const;
};

/// Sends each request of the log from a guest's vbd through blkback to `image`, in one
/// seeded world. Up to 32 are under way at once, in the log's order where they overlap; a
/// sync waits for all before it. Each read is compared with a model of the device, and the
/// whole image at the end. Anything left behind in the host is a finding too.
BlkReplayReport replay_blk(const IoLog& log, const Payload& payload, const Image& image,
                           const ReplayOptions& options);

}  // namespace ringside::conformance
