#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocols/xenvif/headers.hpp"

namespace ringside::xenvif {

/// Cuts one TCP packet's headers into those of its segments. Source: RFC 9293, RFC 791.
class Segmenter {
 public:
  constexpr Segmenter() = default;
  /// `headers` describes a whole TCP packet of `total` bytes; each segment carries up to
  /// `size` bytes of its payload. Precondition: size > 0, total > headers.length.
  Segmenter(const Headers& headers, uint32_t total, uint32_t size)
      : headers_(headers), total_(total), size_(size) {}

  bool done() const { return headers_.length + taken_ >= total_; }
  /// Where the next segment's payload starts in the whole packet, and how long it is.
  uint32_t payload_offset() const { return headers_.length + taken_; }
  uint32_t payload_length() const;
  /// Frame length of the next segment.
  uint32_t frame_length() const { return headers_.length + payload_length(); }

  /// Turns the whole packet's headers at the start of `frame` into the next segment's:
  /// lengths, IPv4 id and header checksum, sequence number, flags. The TCP checksum is left
  /// to the caller. Moves on to the segment after it.
  void stamp(std::span<std::byte> frame);

 private:
  Headers headers_;
  uint32_t total_ = 0;
  uint32_t size_ = 0;
  uint32_t taken_ = 0;
  uint16_t index_ = 0;
};

}  // namespace ringside::xenvif
