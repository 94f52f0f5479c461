// The numbers and layouts of protocols/xennet/ held against those of Windows' own headers, by
// whoever compiles for Windows. Nothing here is code.

// Ours come first: Windows' headers make a macro of `interface`.
#include "protocols/xennet/configuration.hpp"
#include "protocols/xennet/ndis_status.hpp"
#include "protocols/xennet/oid_abi.hpp"
#include "protocols/xennet/packet_info.hpp"

// NDIS for user mode: mingw's ntddndis.h wants types that its ntddk.h does not go with.
// clang-format off: each needs the ones before it
#define UM_NDIS630
#define WIN32_NO_STATUS
#include <winsock2.h>
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <ntddndis.h>
// clang-format on

namespace ringside::xennet {
namespace {

constexpr bool same(Oid ours, NDIS_OID theirs) { return static_cast<NDIS_OID>(ours) == theirs; }
static_assert(same(Oid::kGenSupportedList, OID_GEN_SUPPORTED_LIST));
static_assert(same(Oid::kGenHardwareStatus, OID_GEN_HARDWARE_STATUS));
static_assert(same(Oid::kGenMediaSupported, OID_GEN_MEDIA_SUPPORTED));
static_assert(same(Oid::kGenMediaInUse, OID_GEN_MEDIA_IN_USE));
static_assert(same(Oid::kGenMaximumLookahead, OID_GEN_MAXIMUM_LOOKAHEAD));
static_assert(same(Oid::kGenMaximumFrameSize, OID_GEN_MAXIMUM_FRAME_SIZE));
static_assert(same(Oid::kGenLinkSpeed, OID_GEN_LINK_SPEED));
static_assert(same(Oid::kGenTransmitBufferSpace, OID_GEN_TRANSMIT_BUFFER_SPACE));
static_assert(same(Oid::kGenReceiveBufferSpace, OID_GEN_RECEIVE_BUFFER_SPACE));
static_assert(same(Oid::kGenTransmitBlockSize, OID_GEN_TRANSMIT_BLOCK_SIZE));
static_assert(same(Oid::kGenReceiveBlockSize, OID_GEN_RECEIVE_BLOCK_SIZE));
static_assert(same(Oid::kGenVendorId, OID_GEN_VENDOR_ID));
static_assert(same(Oid::kGenVendorDescription, OID_GEN_VENDOR_DESCRIPTION));
static_assert(same(Oid::kGenCurrentPacketFilter, OID_GEN_CURRENT_PACKET_FILTER));
static_assert(same(Oid::kGenCurrentLookahead, OID_GEN_CURRENT_LOOKAHEAD));
static_assert(same(Oid::kGenDriverVersion, OID_GEN_DRIVER_VERSION));
static_assert(same(Oid::kGenMaximumTotalSize, OID_GEN_MAXIMUM_TOTAL_SIZE));
static_assert(same(Oid::kGenMacOptions, OID_GEN_MAC_OPTIONS));
static_assert(same(Oid::kGenMediaConnectStatus, OID_GEN_MEDIA_CONNECT_STATUS));
static_assert(same(Oid::kGenMaximumSendPackets, OID_GEN_MAXIMUM_SEND_PACKETS));
static_assert(same(Oid::kGenVendorDriverVersion, OID_GEN_VENDOR_DRIVER_VERSION));
static_assert(same(Oid::kGenPhysicalMedium, OID_GEN_PHYSICAL_MEDIUM));
static_assert(same(Oid::kGenReceiveScaleParameters, OID_GEN_RECEIVE_SCALE_PARAMETERS));
static_assert(same(Oid::kGenLinkState, OID_GEN_LINK_STATE));
static_assert(same(Oid::kGenLinkParameters, OID_GEN_LINK_PARAMETERS));
static_assert(same(Oid::kGenInterruptModeration, OID_GEN_INTERRUPT_MODERATION));
static_assert(same(Oid::kGenReceiveHash, OID_GEN_RECEIVE_HASH));
static_assert(same(Oid::kGenXmitOk, OID_GEN_XMIT_OK));
static_assert(same(Oid::kGenRcvOk, OID_GEN_RCV_OK));
static_assert(same(Oid::kGenXmitError, OID_GEN_XMIT_ERROR));
static_assert(same(Oid::kGenRcvError, OID_GEN_RCV_ERROR));
static_assert(same(Oid::kGenRcvNoBuffer, OID_GEN_RCV_NO_BUFFER));
static_assert(same(Oid::kGenStatistics, OID_GEN_STATISTICS));
static_assert(same(Oid::kGenDirectedBytesXmit, OID_GEN_DIRECTED_BYTES_XMIT));
static_assert(same(Oid::kGenDirectedFramesXmit, OID_GEN_DIRECTED_FRAMES_XMIT));
static_assert(same(Oid::kGenMulticastBytesXmit, OID_GEN_MULTICAST_BYTES_XMIT));
static_assert(same(Oid::kGenMulticastFramesXmit, OID_GEN_MULTICAST_FRAMES_XMIT));
static_assert(same(Oid::kGenBroadcastBytesXmit, OID_GEN_BROADCAST_BYTES_XMIT));
static_assert(same(Oid::kGenBroadcastFramesXmit, OID_GEN_BROADCAST_FRAMES_XMIT));
static_assert(same(Oid::kGenDirectedBytesRcv, OID_GEN_DIRECTED_BYTES_RCV));
static_assert(same(Oid::kGenDirectedFramesRcv, OID_GEN_DIRECTED_FRAMES_RCV));
static_assert(same(Oid::kGenMulticastBytesRcv, OID_GEN_MULTICAST_BYTES_RCV));
static_assert(same(Oid::kGenMulticastFramesRcv, OID_GEN_MULTICAST_FRAMES_RCV));
static_assert(same(Oid::kGenBroadcastBytesRcv, OID_GEN_BROADCAST_BYTES_RCV));
static_assert(same(Oid::kGenBroadcastFramesRcv, OID_GEN_BROADCAST_FRAMES_RCV));
static_assert(same(Oid::kGenRcvCrcError, OID_GEN_RCV_CRC_ERROR));
static_assert(same(Oid::kGenTransmitQueueLength, OID_GEN_TRANSMIT_QUEUE_LENGTH));
static_assert(same(Oid::kGenBytesRcv, OID_GEN_BYTES_RCV));
static_assert(same(Oid::kGenBytesXmit, OID_GEN_BYTES_XMIT));
static_assert(same(Oid::kGenRcvDiscards, OID_GEN_RCV_DISCARDS));
static_assert(same(Oid::kGenXmitDiscards, OID_GEN_XMIT_DISCARDS));
static_assert(same(Oid::k8023PermanentAddress, OID_802_3_PERMANENT_ADDRESS));
static_assert(same(Oid::k8023CurrentAddress, OID_802_3_CURRENT_ADDRESS));
static_assert(same(Oid::k8023MulticastList, OID_802_3_MULTICAST_LIST));
static_assert(same(Oid::k8023MaximumListSize, OID_802_3_MAXIMUM_LIST_SIZE));
static_assert(same(Oid::k8023RcvErrorAlignment, OID_802_3_RCV_ERROR_ALIGNMENT));
static_assert(same(Oid::k8023XmitOneCollision, OID_802_3_XMIT_ONE_COLLISION));
static_assert(same(Oid::k8023XmitMoreCollisions, OID_802_3_XMIT_MORE_COLLISIONS));
static_assert(same(Oid::kOffloadEncapsulation, OID_OFFLOAD_ENCAPSULATION));
static_assert(same(Oid::kTcpOffloadCurrentConfig, OID_TCP_OFFLOAD_CURRENT_CONFIG));
static_assert(same(Oid::kTcpOffloadParameters, OID_TCP_OFFLOAD_PARAMETERS));
static_assert(same(Oid::kTcpOffloadHardwareCapabilities, OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES));
static_assert(same(Oid::kPnpSetPower, OID_PNP_SET_POWER));
static_assert(same(Oid::kPnpQueryPower, OID_PNP_QUERY_POWER));
static_assert(same(Oid::kPmCurrentCapabilities, OID_PM_CURRENT_CAPABILITIES));
static_assert(same(Oid::kPmHardwareCapabilities, OID_PM_HARDWARE_CAPABILITIES));
static_assert(same(Oid::kPmParameters, OID_PM_PARAMETERS));

constexpr bool same(NdisStatus ours, NTSTATUS theirs) {
  return static_cast<NTSTATUS>(ours) == theirs;
}
static_assert(same(NdisStatus::kSuccess, STATUS_SUCCESS));
static_assert(same(NdisStatus::kPending, STATUS_PENDING));
static_assert(same(NdisStatus::kFailure, STATUS_UNSUCCESSFUL));
static_assert(same(NdisStatus::kInvalidParameter, STATUS_INVALID_PARAMETER));
static_assert(same(NdisStatus::kResources, STATUS_INSUFFICIENT_RESOURCES));
static_assert(same(NdisStatus::kNotSupported, STATUS_NOT_SUPPORTED));
static_assert(same(NdisStatus::kSendAborted, STATUS_NDIS_REQUEST_ABORTED));
static_assert(same(NdisStatus::kMediaDisconnected, STATUS_NDIS_MEDIA_DISCONNECTED));
static_assert(same(NdisStatus::kPaused, STATUS_NDIS_PAUSED));
static_assert(same(NdisStatus::kLowPowerState, STATUS_NDIS_LOW_POWER_STATE));

// A structure is as long as theirs, and so are its revisions, where they have several.
static_assert(sizeof(ObjectHeader) == sizeof(NDIS_OBJECT_HEADER));
static_assert(sizeof(StatisticsInfo) == sizeof(NDIS_STATISTICS_INFO));
static_assert(offsetof(StatisticsInfo, out_errors) == offsetof(NDIS_STATISTICS_INFO, ifOutErrors));
static_assert(offsetof(StatisticsInfo, out_broadcast_octets) ==
              offsetof(NDIS_STATISTICS_INFO, ifHCOutBroadcastOctets));
static_assert(sizeof(InterruptModeration) == sizeof(NDIS_INTERRUPT_MODERATION_PARAMETERS));
static_assert(kModerationNotSupported == NdisInterruptModerationNotSupported);
static_assert(sizeof(LinkState) == sizeof(NDIS_LINK_STATE));
static_assert(offsetof(LinkState, xmit_speed) == offsetof(NDIS_LINK_STATE, XmitLinkSpeed));
static_assert(offsetof(LinkState, pause_functions) == offsetof(NDIS_LINK_STATE, PauseFunctions));
static_assert(sizeof(LinkParameters) == sizeof(NDIS_LINK_PARAMETERS));
static_assert(offsetof(LinkParameters, xmit_speed) ==
              offsetof(NDIS_LINK_PARAMETERS, XmitLinkSpeed));
static_assert(kOffloadParameters1 == NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1);
static_assert(kOffloadParameters2 == NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_2);
static_assert(kOffloadParameters3 == NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_3);
static_assert(offsetof(OffloadParameters, large_send_v4) ==
              offsetof(NDIS_OFFLOAD_PARAMETERS, LsoV2IPv4));
static_assert(offsetof(OffloadParameters, coalesce_v4) ==
              offsetof(NDIS_OFFLOAD_PARAMETERS, RscIPv4));
static_assert(sizeof(Offload) == NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_3);
static_assert(offsetof(Offload, large_send_v1) == offsetof(NDIS_OFFLOAD, LsoV1));
static_assert(offsetof(Offload, large_send_v4) == offsetof(NDIS_OFFLOAD, LsoV2));
static_assert(offsetof(Offload, large_send_v6) ==
              offsetof(NDIS_OFFLOAD, LsoV2) + offsetof(NDIS_TCP_LARGE_SEND_OFFLOAD_V2, IPv6));
static_assert(offsetof(Offload, flags) == offsetof(NDIS_OFFLOAD, Flags));
static_assert(offsetof(Offload, ipsec_v2) == offsetof(NDIS_OFFLOAD, IPsecV2));
static_assert(offsetof(Offload, coalesce_v4) == offsetof(NDIS_OFFLOAD, Rsc));
static_assert(offsetof(Offload, encapsulated_bits) ==
              offsetof(NDIS_OFFLOAD, EncapsulatedPacketTaskOffloadGre));
static_assert(kEncapsulation8023 == NDIS_ENCAPSULATION_IEEE_802_3);
static_assert(kReceiveScaleParameters1 == NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_1);
static_assert(kReceiveScaleParameters2 == NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_2);
static_assert(offsetof(ReceiveScaleParameters, key_offset) ==
              offsetof(NDIS_RECEIVE_SCALE_PARAMETERS, HashSecretKeyOffset));
static_assert(sizeof(ReceiveHashParameters) == NDIS_SIZEOF_RECEIVE_HASH_PARAMETERS_REVISION_1);
static_assert(sizeof(ProcessorNumber) == sizeof(PROCESSOR_NUMBER));
static_assert(sizeof(PmCapabilities) == NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_2);
static_assert(sizeof(PmParameters) == NDIS_SIZEOF_NDIS_PM_PARAMETERS_REVISION_2);
static_assert(kPmParameters1 == NDIS_SIZEOF_NDIS_PM_PARAMETERS_REVISION_1);

static_assert(kTypeDefault == NDIS_OBJECT_TYPE_DEFAULT);
static_assert(kTypeRssParameters == NDIS_OBJECT_TYPE_RSS_PARAMETERS);
static_assert(kTypeOffload == NDIS_OBJECT_TYPE_OFFLOAD);
static_assert(kTypeOffloadEncapsulation == NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION);
static_assert(static_cast<int>(PowerState::kD3) == NdisDeviceStateD3);
static_assert(static_cast<int>(ConnectState::kDisconnected) == MediaConnectStateDisconnected);
static_assert(static_cast<int>(DuplexState::kFull) == MediaDuplexStateFull);
static_assert(kHashToeplitz == NdisHashFunctionToeplitz);
static_assert(kHashTypes ==
              (NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4 | NDIS_HASH_IPV6 | NDIS_HASH_TCP_IPV6));
static_assert(kRssDisable == NDIS_RSS_PARAM_FLAG_DISABLE_RSS);
static_assert(kRssKeyUnchanged == NDIS_RSS_PARAM_FLAG_HASH_KEY_UNCHANGED);
static_assert(kRssTableUnchanged == NDIS_RSS_PARAM_FLAG_ITABLE_UNCHANGED);
static_assert(kRssHashInfoUnchanged == NDIS_RSS_PARAM_FLAG_HASH_INFO_UNCHANGED);
static_assert(kHashEnable == NDIS_RECEIVE_HASH_FLAG_ENABLE_HASH);
static_assert(kFilters == (NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_MULTICAST |
                           NDIS_PACKET_TYPE_ALL_MULTICAST | NDIS_PACKET_TYPE_BROADCAST |
                           NDIS_PACKET_TYPE_PROMISCUOUS));

}  // namespace
}  // namespace ringside::xennet
