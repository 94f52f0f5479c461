#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ringside::conformance {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

enum class Transport : uint8_t { kNone, kTcp, kUdp, kOther };

/// What the checksum field of a TCP or UDP header holds.
enum class ChecksumState : uint8_t {
  kNone,     ///< there is no such field, the payload is a fragment, or UDP without checksum
  kFull,     ///< the right checksum
  kPartial,  ///< the pseudo-header's sum: the sender left the rest to the device
  kWrong,
};

/// Where things are in one Ethernet frame. Offsets in bytes from its start.
struct PacketLayout {
  bool ipv4 = false;
  bool ipv6 = false;
  bool fragment = false;
  size_t network = 0;    ///< IP header
  size_t transport = 0;  ///< TCP or UDP header
  size_t payload = 0;    ///< what follows it
  size_t end = 0;        ///< where the IP packet ends; padding may follow
  Transport protocol = Transport::kNone;

  bool tcp() const { return protocol == Transport::kTcp && !fragment; }
  bool has_checksum() const {
    return (protocol == Transport::kTcp || protocol == Transport::kUdp) && !fragment;
  }
  size_t checksum_at() const { return transport + (protocol == Transport::kTcp ? 16 : 6); }
};

/// Finds the headers; VLAN tags and IPv6 extension headers are stepped over. What is not
/// understood or doesn't fit into the frame is left at kNone.
PacketLayout dissect(ByteView frame);

ChecksumState checksum_state(ByteView frame, const PacketLayout& layout);

/// Writes the full checksum over a partial one (or over anything else).
void complete_checksum(std::span<std::byte> frame, const PacketLayout& layout);
/// Writes the sum of the pseudo-header alone, as a sender with checksum offload does.
void leave_checksum_partial(std::span<std::byte> frame, const PacketLayout& layout);

/// The MSS option of a SYN, when the frame is one that carries it.
std::optional<uint16_t> mss_option(ByteView frame, const PacketLayout& layout);

/// Cuts a TCP frame into frames with up to `mss` bytes of payload: sequence numbers, IPv4
/// identifications, lengths and flags as a sending stack would give them; full checksums.
std::vector<Bytes> segment_tcp(ByteView frame, const PacketLayout& layout, size_t mss);

/// The TCP payload of the frame.
ByteView tcp_payload(ByteView frame, const PacketLayout& layout);

}  // namespace ringside::conformance
