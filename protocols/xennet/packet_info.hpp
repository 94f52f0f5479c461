#pragma once

#include <cstdint>

#include "protocols/xenvif/packet.hpp"

// The out-of-band words of a NET_BUFFER_LIST, bit by bit.
// Source: ndis.h (NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO and its neighbours).

namespace ringside::xennet {

// --- checksums of a packet to send ---------------------------------------------------------
inline constexpr uint32_t kSendIpv4 = 1u << 0;
inline constexpr uint32_t kSendIpv6 = 1u << 1;
inline constexpr uint32_t kSendTcpChecksum = 1u << 2;
inline constexpr uint32_t kSendUdpChecksum = 1u << 3;
inline constexpr uint32_t kSendIpHeaderChecksum = 1u << 4;
constexpr uint32_t checksum_tcp_offset(uint32_t word) { return word >> 16 & 0x3ff; }

// --- checksums of a received packet --------------------------------------------------------
inline constexpr uint32_t kTcpChecksumFailed = 1u << 0;
inline constexpr uint32_t kUdpChecksumFailed = 1u << 1;
inline constexpr uint32_t kIpChecksumFailed = 1u << 2;
inline constexpr uint32_t kTcpChecksumSucceeded = 1u << 3;
inline constexpr uint32_t kUdpChecksumSucceeded = 1u << 4;
inline constexpr uint32_t kIpChecksumSucceeded = 1u << 5;
inline constexpr uint32_t kTcpChecksumValueInvalid = 1u << 7;  ///< or UDP: it was never filled in

// --- large sends, version 2 ----------------------------------------------------------------
inline constexpr uint32_t kLargeSendV2 = 1u << 30;
inline constexpr uint32_t kLargeSendIpv6 = 1u << 31;
constexpr uint32_t large_send_mss(uint32_t word) { return word & 0xfffff; }
constexpr uint32_t large_send_tcp_offset(uint32_t word) { return word >> 20 & 0x3ff; }
/// What the word is when the packet has been sent: the type, and nothing else.
inline constexpr uint32_t kLargeSendV2Complete = kLargeSendV2;

// --- 802.1Q --------------------------------------------------------------------------------
/// The tag control information that goes over the wire.
constexpr uint16_t vlan_to_tag(uint32_t word) {
  return static_cast<uint16_t>((word & 7) << 13 | (word >> 3 & 1) << 12 | (word >> 4 & 0xfff));
}
constexpr uint32_t vlan_from_tag(uint16_t tag) {
  return static_cast<uint32_t>(tag) >> 13 | (tag >> 12 & 1u) << 3 | (tag & 0xfffu) << 4;
}

// --- receive segment coalescing ------------------------------------------------------------
constexpr uint32_t coalesced_segments(uint16_t segments) { return segments; }

// --- hashes --------------------------------------------------------------------------------
inline constexpr uint32_t kHashToeplitz = 0x01;
inline constexpr uint32_t kHashFunctionMask = 0xff;
inline constexpr uint32_t kHashIpv4 = 0x100;
inline constexpr uint32_t kHashTcpIpv4 = 0x200;
inline constexpr uint32_t kHashIpv6 = 0x400;
inline constexpr uint32_t kHashTcpIpv6 = 0x1000;
inline constexpr uint32_t kHashTypes = kHashIpv4 | kHashTcpIpv4 | kHashIpv6 | kHashTcpIpv6;

constexpr uint32_t to_ndis(xenvif::HashType type) {
  switch (type) {
    case xenvif::HashType::kIpv4: return kHashIpv4;
    case xenvif::HashType::kTcpV4: return kHashTcpIpv4;
    case xenvif::HashType::kIpv6: return kHashIpv6;
    case xenvif::HashType::kTcpV6: return kHashTcpIpv6;
    case xenvif::HashType::kNone: break;
  }
  return 0;
}

// --- what an indication of received lists says; the shell adds the level it is made at -------
inline constexpr uint32_t kReceiveResources = 1u << 1;  ///< ours again when the call returns

}  // namespace ringside::xennet
