#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "protocols/xenvif/headers.hpp"

namespace ringside::xenvif {

/// A running Internet checksum (RFC 1071) over byte runs of any length and alignment.
class ChecksumSum {
 public:
  void add(std::span<const std::byte> bytes);
  void add_word(uint16_t value) { sum_ += value; }
  /// The one's complement sum so far, folded to 16 bits, not inverted.
  uint16_t folded() const;

 private:
  uint64_t sum_ = 0;
  bool odd_ = false;
};

/// The sum of the TCP/UDP pseudo header. `frame` holds the IP header; `length` is that of
/// the TCP or UDP header and all that follows it. Precondition: headers.protocol != 0.
ChecksumSum pseudo_header(std::span<const std::byte> frame, const Headers& headers,
                          uint32_t length);

/// Bytes of the TCP or UDP header and what follows it, as the IP header says (a frame may
/// have padding after them); nothing when they do not fit `total`, the frame's length.
/// An IPv4 total length of 0 stands for all of the frame. Precondition: headers.protocol != 0.
std::optional<uint32_t> transport_length(std::span<const std::byte> frame, const Headers& headers,
                                         uint32_t total);

/// Puts the folded pseudo header sum where the checksum goes. [NETIF-TX-025]
void blank_checksum(std::span<std::byte> frame, const Headers& headers, uint32_t length);

/// Computes and stores the TCP or UDP checksum of a frame that lies in one piece; false when
/// its IP header gives it a length that is not there.
[[nodiscard]] bool fill_checksum(std::span<std::byte> frame, const Headers& headers);

/// The field's value for a finished sum: inverted, and never 0 for UDP. [NETIF-TX-050]
uint16_t finish_checksum(const ChecksumSum& sum, uint8_t protocol);

/// Computes and stores the IPv4 header's checksum. Precondition: headers.ip_version == 4.
void fill_ipv4_header_checksum(std::span<std::byte> frame, const Headers& headers);

}  // namespace ringside::xenvif
