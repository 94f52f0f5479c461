#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "protocols/platform/platform.hpp"

namespace ringside::xenvif {

using MacAddress = std::array<uint8_t, 6>;

/// A run of bytes inside one page.
struct Fragment {
  const std::byte* address = nullptr;  ///< of the first byte of the run (not of its page)
  platform::Frame frame = 0;           ///< the page it lies in
  uint16_t offset = 0;                 ///< of the first byte in its page
  uint16_t length = 0;                 ///< offset + length <= kPageSize; 0 is skipped
};

/// What is known of a packet's TCP or UDP checksum.
enum class Checksum : uint8_t {
  kUnknown,    ///< in the packet, not looked at
  kBlank,      ///< not filled in: only the pseudo header's sum is there; the data is good
  kValidated,  ///< looked at and right
};

/// Values of XEN_NETIF_GSO_TYPE_*.
enum class GsoType : uint8_t { kNone = 0, kTcpV4 = 1, kTcpV6 = 2 };

/// A TCP packet that stands for several: `size` is the payload of each but the last.
struct Gso {
  GsoType type = GsoType::kNone;
  uint16_t size = 0;
};

/// Values of _XEN_NETIF_CTRL_HASH_TYPE_*: what a hash was made over.
enum class HashType : uint8_t { kIpv4 = 0, kTcpV4 = 1, kIpv6 = 2, kTcpV6 = 3, kNone = 0xff };

/// The Toeplitz hash of a packet, or none.
struct PacketHash {
  HashType type = HashType::kNone;
  uint32_t value = 0;

  friend bool operator==(const PacketHash&, const PacketHash&) = default;
};

/// One Ethernet frame to send, VLAN tag in band, no FCS. [NETIF-TX-042]
///
/// The fragments, and the array they are in, belong to the driver until transmitted() is
/// called with the cookie.
struct TxPacket {
  std::span<const Fragment> fragments;
  Checksum checksum = Checksum::kUnknown;
  Gso gso{};
  PacketHash hash{};  ///< told to a back end that takes it [NETIF-RX-029]
  uint64_t cookie = 0;
};

/// How a packet that was handed to transmit() ended.
enum class TxStatus : uint8_t {
  kSent,            ///< the peer took it: NETIF_RSP_OKAY for each slot
  kDroppedByPeer,   ///< NETIF_RSP_DROPPED
  kRejectedByPeer,  ///< NETIF_RSP_ERROR, or a status that netif.h does not know
  kDisconnected,    ///< the connection ended before the peer answered
  kPeerHoldsPages,  ///< as kDisconnected, and the peer still maps a page: do not reuse it
  kBadFragment,     ///< empty packet, or a fragment that leaves its page
  kTooLong,         ///< more than XEN_NETIF_MAX_TX_SIZE bytes
  kOverMtu,         ///< longer than the MTU allows and not a GSO packet
  kTooLongForPeer,  ///< needs more than one page and the peer has no feature-sg
  kBadGso,          ///< GSO without a size, or not TCP over that IP version
  kBadHeaders,      ///< headers cut short or too long to be pulled up
  kNoChecksum,      ///< a blank checksum in something that is not whole TCP or UDP
};
inline constexpr size_t kTxStatusCount = 12;

/// The enumerator's name without its prefix, for reports.
const char* to_string(TxStatus status);

/// One received frame, lent to the client until it is given back to its queue.
struct RxPacket {
  std::span<const Fragment> fragments;
  uint32_t length = 0;  ///< sum of the fragments' lengths
  Checksum checksum = Checksum::kUnknown;
  Gso gso{};
  PacketHash hash{};
  uint16_t handle = 0;  ///< the queue's own
};

}  // namespace ringside::xenvif
