#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/rig/device_model.hpp"

namespace ringside::conformance {

/// One request of a log. Offset and length in bytes, multiples of kSectorSize.
struct BlockRequest {
  enum class Kind : uint8_t { kRead, kWrite, kSync, kTrim };
  Kind kind = Kind::kRead;
  uint64_t offset = 0;
  uint64_t length = 0;
  unsigned line = 0;  ///< where it stands in the log

  uint64_t end() const { return offset + length; }
};

/// fio's I/O log, version 2: what one program did to one device, in order.
///
/// Source: fio HOWTO, "Trace file format v2". add, open, close and wait carry no request;
/// sync and datasync both become a flush.
struct IoLog {
  std::vector<BlockRequest> requests;

  /// One past the last byte that any request touches.
  uint64_t extent() const;

  /// Throws Problem, naming the line, when the text is anything else.
  static IoLog parse(std::string_view text, const std::string& name);
  static IoLog read(const std::string& path);
};

/// Throws Problem when a request ends past the device.
void require_fits(const IoLog& log, uint64_t device_bytes, const std::string& name);

}  // namespace ringside::conformance
