#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "conformance/replay/iolog.hpp"

namespace ringside::conformance {

/// Where the data of a log's writes comes from: its sidecar file, or a pattern that tells
/// each sector's place and write.
class Payload {
 public:
  explicit Payload(uint64_t seed) : seed_(seed) {}
  /// `path` holds the data of all writes of `log`, in order, one after the other; plain or
  /// gzip. Throws Problem when it can't be read or is not exactly that long.
  Payload(const std::string& path, const IoLog& log);

  /// The data of bytes `from`.. of write `request`, which is number `index` of the log.
  void fill(std::span<std::byte> data, const BlockRequest& request, size_t index,
            uint64_t from) const;

 private:
  uint64_t seed_ = 0;
  std::vector<std::byte> recorded_;
  std::vector<uint64_t> offsets_;  ///< by request: where its data starts in recorded_
};

}  // namespace ringside::conformance
