#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ringside::conformance {

/// One Ethernet frame as captured, without its FCS.
struct CapturedFrame {
  std::vector<std::byte> bytes;
  size_t length_on_wire = 0;

  bool cut_short() const { return bytes.size() < length_on_wire; }
};

/// Reads a whole pcap or pcapng file of Ethernet frames. Throws Problem with one sentence
/// when it is missing, no capture, truncated or of another link type.
std::vector<CapturedFrame> read_capture(const std::string& path);

}  // namespace ringside::conformance
