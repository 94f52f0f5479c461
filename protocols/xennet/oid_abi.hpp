#pragma once

#include <cstddef>
#include <cstdint>

// Numbers and layouts of the OIDs that the miniport answers. Source: ntddndis.h, against which
// kernel/xennet_abi.cpp holds them; where it says nothing, Microsoft's documentation.

namespace ringside::xennet {

enum class Oid : uint32_t {
  kGenSupportedList = 0x00010101,
  kGenHardwareStatus = 0x00010102,
  kGenMediaSupported = 0x00010103,
  kGenMediaInUse = 0x00010104,
  kGenMaximumLookahead = 0x00010105,
  kGenMaximumFrameSize = 0x00010106,
  kGenLinkSpeed = 0x00010107,
  kGenTransmitBufferSpace = 0x00010108,
  kGenReceiveBufferSpace = 0x00010109,
  kGenTransmitBlockSize = 0x0001010a,
  kGenReceiveBlockSize = 0x0001010b,
  kGenVendorId = 0x0001010c,
  kGenVendorDescription = 0x0001010d,
  kGenCurrentPacketFilter = 0x0001010e,
  kGenCurrentLookahead = 0x0001010f,
  kGenDriverVersion = 0x00010110,
  kGenMaximumTotalSize = 0x00010111,
  kGenMacOptions = 0x00010113,
  kGenMediaConnectStatus = 0x00010114,
  kGenMaximumSendPackets = 0x00010115,
  kGenVendorDriverVersion = 0x00010116,
  kGenPhysicalMedium = 0x00010202,
  kGenReceiveScaleParameters = 0x00010204,
  kGenLinkState = 0x00010207,
  kGenLinkParameters = 0x00010208,
  kGenInterruptModeration = 0x00010209,
  kGenReceiveHash = 0x0001021f,
  kGenXmitOk = 0x00020101,
  kGenRcvOk = 0x00020102,
  kGenXmitError = 0x00020103,
  kGenRcvError = 0x00020104,
  kGenRcvNoBuffer = 0x00020105,
  kGenStatistics = 0x00020106,
  kGenDirectedBytesXmit = 0x00020201,
  kGenDirectedFramesXmit = 0x00020202,
  kGenMulticastBytesXmit = 0x00020203,
  kGenMulticastFramesXmit = 0x00020204,
  kGenBroadcastBytesXmit = 0x00020205,
  kGenBroadcastFramesXmit = 0x00020206,
  kGenDirectedBytesRcv = 0x00020207,
  kGenDirectedFramesRcv = 0x00020208,
  kGenMulticastBytesRcv = 0x00020209,
  kGenMulticastFramesRcv = 0x0002020a,
  kGenBroadcastBytesRcv = 0x0002020b,
  kGenBroadcastFramesRcv = 0x0002020c,
  kGenRcvCrcError = 0x0002020d,
  kGenTransmitQueueLength = 0x0002020e,
  kGenBytesRcv = 0x00020219,
  kGenBytesXmit = 0x0002021a,
  kGenRcvDiscards = 0x0002021b,
  kGenXmitDiscards = 0x0002021c,
  k8023PermanentAddress = 0x01010101,
  k8023CurrentAddress = 0x01010102,
  k8023MulticastList = 0x01010103,
  k8023MaximumListSize = 0x01010104,
  kOffloadEncapsulation = 0x0101010a,
  k8023RcvErrorAlignment = 0x01020101,
  k8023XmitOneCollision = 0x01020102,
  k8023XmitMoreCollisions = 0x01020103,
  kTcpOffloadCurrentConfig = 0xfc01020b,
  kTcpOffloadParameters = 0xfc01020c,
  kTcpOffloadHardwareCapabilities = 0xfc01020d,
  kPnpSetPower = 0xfd010101,
  kPnpQueryPower = 0xfd010102,
  kPmCurrentCapabilities = 0xfd010107,
  kPmHardwareCapabilities = 0xfd010108,
  kPmParameters = 0xfd010109,
};

struct ObjectHeader {
  uint8_t type;
  uint8_t revision;
  uint16_t size;
};
inline constexpr uint8_t kTypeDefault = 0x80;
inline constexpr uint8_t kTypeRssParameters = 0x89;
inline constexpr uint8_t kTypeOffload = 0xa7;
inline constexpr uint8_t kTypeOffloadEncapsulation = 0xa8;

enum class ConnectState : uint32_t { kUnknown, kConnected, kDisconnected };
enum class DuplexState : uint32_t { kUnknown, kHalf, kFull };
inline constexpr uint64_t kLinkSpeedUnknown = ~uint64_t{0};
inline constexpr uint32_t kPauseFunctionsUnsupported = 0;

struct LinkState {
  ObjectHeader header;
  ConnectState connected;
  DuplexState duplex;
  uint32_t padding;
  uint64_t xmit_speed;  ///< bits a second
  uint64_t rcv_speed;
  uint32_t pause_functions;
  uint32_t auto_negotiation;
};

struct LinkParameters {
  ObjectHeader header;
  DuplexState duplex;
  uint64_t xmit_speed;
  uint64_t rcv_speed;
  uint32_t pause_functions;
  uint32_t auto_negotiation;
};

inline constexpr uint32_t kModerationNotSupported = 1;
struct InterruptModeration {
  ObjectHeader header;
  uint32_t flags;
  uint32_t moderation;
};

struct StatisticsInfo {
  ObjectHeader header;
  uint32_t supported;
  uint64_t in_discards;
  uint64_t in_errors;
  uint64_t in_octets;
  uint64_t in_directed_frames;
  uint64_t in_multicast_frames;
  uint64_t in_broadcast_frames;
  uint64_t out_octets;
  uint64_t out_directed_frames;
  uint64_t out_multicast_frames;
  uint64_t out_broadcast_frames;
  uint64_t out_errors;
  uint64_t out_discards;
  uint64_t in_directed_octets;
  uint64_t in_multicast_octets;
  uint64_t in_broadcast_octets;
  uint64_t out_directed_octets;
  uint64_t out_multicast_octets;
  uint64_t out_broadcast_octets;
};
inline constexpr uint32_t kStatisticsAll = 0x003f87ff;  ///< NDIS_STATISTICS_FLAGS_VALID_*

/// Values of one checksum field: 0 no change, then one more than the keywords' mask.
inline constexpr uint8_t kOffloadNoChange = 0;
inline constexpr uint8_t kOffloadMaximum = 4;
inline constexpr uint8_t kOffloadDisabled = 1;
inline constexpr uint8_t kOffloadEnabled = 2;  ///< of large sends and coalescing

struct OffloadParameters {
  ObjectHeader header;
  uint8_t ip_v4;
  uint8_t tcp_v4;
  uint8_t udp_v4;
  uint8_t tcp_v6;
  uint8_t udp_v6;
  uint8_t large_send_v1;
  uint8_t ipsec_v1;
  uint8_t large_send_v4;
  uint8_t large_send_v6;
  uint8_t connection_v4;
  uint8_t connection_v6;
  uint8_t padding;
  uint32_t flags;
  // Revision 2.
  uint8_t ipsec_v2;
  uint8_t ipsec_v2_ipv4;
  // Revision 3.
  uint8_t coalesce_v4;
  uint8_t coalesce_v6;
  uint8_t encapsulated;
  uint8_t encapsulation_types;
};
inline constexpr size_t kOffloadParameters1 = 20;  ///< bytes of revision 1
inline constexpr size_t kOffloadParameters2 = 22;
inline constexpr size_t kOffloadParameters3 = 26;

inline constexpr uint32_t kEncapsulation8023 = 2;

struct ChecksumOffload {
  uint32_t encapsulation;
  uint32_t bits;  ///< two bits each: ip options, tcp options, tcp, udp, ip
};

struct Offload {
  ObjectHeader header;
  ChecksumOffload send_v4;
  ChecksumOffload receive_v4;
  ChecksumOffload send_v6;
  ChecksumOffload receive_v6;
  uint32_t large_send_v1[4];
  uint32_t ipsec_v1[7];
  struct {
    uint32_t encapsulation;
    uint32_t max_size;
    uint32_t min_segments;
  } large_send_v4;
  struct {
    uint32_t encapsulation;
    uint32_t max_size;
    uint32_t min_segments;
    uint32_t bits;  ///< two bits each: extension headers, tcp options
  } large_send_v6;
  uint32_t flags;
  // Revision 2.
  uint32_t ipsec_v2[8];
  // Revision 3.
  uint8_t coalesce_v4;
  uint8_t coalesce_v6;
  uint8_t padding[2];
  uint32_t encapsulated_bits;
  uint32_t encapsulated_max_header;
};

inline constexpr uint32_t kSetNoChange = 0;
inline constexpr uint32_t kSetOn = 1;
inline constexpr uint32_t kSetOff = 2;

struct OffloadEncapsulation {
  ObjectHeader header;
  struct Family {
    uint32_t enabled;  ///< kSet*
    uint32_t type;     ///< kEncapsulation*
    uint32_t header_size;
  } v4, v6;
};

inline constexpr uint16_t kRssBaseCpuUnchanged = 0x01;
inline constexpr uint16_t kRssHashInfoUnchanged = 0x02;
inline constexpr uint16_t kRssTableUnchanged = 0x04;
inline constexpr uint16_t kRssKeyUnchanged = 0x08;
inline constexpr uint16_t kRssDisable = 0x10;

struct ReceiveScaleParameters {
  ObjectHeader header;
  uint16_t flags;
  uint16_t base_cpu;
  uint32_t hash_info;
  uint16_t table_size;  ///< bytes
  uint16_t padding;
  uint32_t table_offset;
  uint16_t key_size;
  uint16_t padding2;
  uint32_t key_offset;
  // Revision 2.
  uint32_t masks_offset;
  uint32_t masks;
  uint32_t mask_size;
};
inline constexpr size_t kReceiveScaleParameters1 = 28;  ///< bytes of revision 1: CPUs are bytes
inline constexpr size_t kReceiveScaleParameters2 = 40;

/// A CPU in the table of revision 2.
struct ProcessorNumber {
  uint16_t group;
  uint8_t number;
  uint8_t reserved;
};

inline constexpr uint32_t kHashEnable = 1;
inline constexpr uint32_t kHashInfoUnchanged = 2;
inline constexpr uint32_t kHashKeyUnchanged = 4;

struct ReceiveHashParameters {
  ObjectHeader header;
  uint32_t flags;
  uint32_t hash_info;
  uint16_t key_size;
  uint16_t padding;
  uint32_t key_offset;
};

enum class PowerState : uint32_t { kUnspecified, kD0, kD1, kD2, kD3 };

struct PmCapabilities {
  ObjectHeader header;
  uint32_t flags;
  uint32_t patterns[4];  ///< kinds, number, largest size, largest offset
  uint32_t save_buffer;
  uint32_t offloads[3];  ///< kinds, IPv4 addresses, IPv6 addresses
  uint32_t wake_up[3];   ///< lowest states for magic packets, patterns, link changes
  uint32_t events[2];
};

struct PmParameters {
  ObjectHeader header;
  uint32_t patterns;
  uint32_t offloads;
  uint32_t wake_up_flags;
  uint32_t media_events;  ///< revision 2
};
inline constexpr size_t kPmParameters1 = 16;  ///< bytes of revision 1

}  // namespace ringside::xennet
