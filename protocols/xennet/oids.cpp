#include "protocols/xennet/oids.hpp"

#include "protocols/xenvif/connection.hpp"
#include "protocols/xenvif/headers.hpp"

namespace ringside::xennet {
namespace {

/// XENNET-024: these and no others.
constexpr std::array kSupported{
    Oid::kGenSupportedList,
    Oid::kGenHardwareStatus,
    Oid::kGenMediaSupported,
    Oid::kGenMediaInUse,
    Oid::kGenMaximumLookahead,
    Oid::kGenMaximumFrameSize,
    Oid::kGenLinkSpeed,
    Oid::kGenTransmitBufferSpace,
    Oid::kGenReceiveBufferSpace,
    Oid::kGenTransmitBlockSize,
    Oid::kGenReceiveBlockSize,
    Oid::kGenVendorId,
    Oid::kGenVendorDescription,
    Oid::kGenCurrentPacketFilter,
    Oid::kGenCurrentLookahead,
    Oid::kGenDriverVersion,
    Oid::kGenMaximumTotalSize,
    Oid::kGenMacOptions,
    Oid::kGenMediaConnectStatus,
    Oid::kGenMaximumSendPackets,
    Oid::kGenVendorDriverVersion,
    Oid::kGenPhysicalMedium,
    Oid::kGenReceiveScaleParameters,
    Oid::kGenLinkState,
    Oid::kGenLinkParameters,
    Oid::kGenInterruptModeration,
    Oid::kGenReceiveHash,
    Oid::kGenXmitOk,
    Oid::kGenRcvOk,
    Oid::kGenXmitError,
    Oid::kGenRcvError,
    Oid::kGenRcvNoBuffer,
    Oid::kGenStatistics,
    Oid::kGenDirectedBytesXmit,
    Oid::kGenDirectedFramesXmit,
    Oid::kGenMulticastBytesXmit,
    Oid::kGenMulticastFramesXmit,
    Oid::kGenBroadcastBytesXmit,
    Oid::kGenBroadcastFramesXmit,
    Oid::kGenDirectedBytesRcv,
    Oid::kGenDirectedFramesRcv,
    Oid::kGenMulticastBytesRcv,
    Oid::kGenMulticastFramesRcv,
    Oid::kGenBroadcastBytesRcv,
    Oid::kGenBroadcastFramesRcv,
    Oid::kGenRcvCrcError,
    Oid::kGenTransmitQueueLength,
    Oid::kGenBytesRcv,
    Oid::kGenBytesXmit,
    Oid::kGenRcvDiscards,
    Oid::kGenXmitDiscards,
    Oid::k8023PermanentAddress,
    Oid::k8023CurrentAddress,
    Oid::k8023MulticastList,
    Oid::k8023MaximumListSize,
    Oid::kOffloadEncapsulation,
    Oid::k8023RcvErrorAlignment,
    Oid::k8023XmitOneCollision,
    Oid::k8023XmitMoreCollisions,
    Oid::kTcpOffloadCurrentConfig,
    Oid::kTcpOffloadParameters,
    Oid::kTcpOffloadHardwareCapabilities,
    Oid::kPnpSetPower,
    Oid::kPnpQueryPower,
    Oid::kPmCurrentCapabilities,
    Oid::kPmHardwareCapabilities,
    Oid::kPmParameters,
};

constexpr uint32_t kMedium8023 = 0;
constexpr uint32_t kPhysicalMedium8023 = 14;
constexpr uint32_t kHardwareReady = 0;
constexpr uint16_t kNdisVersion = 6 << 8 | 30;
constexpr uint32_t kDriverVersion = 1;
constexpr uint64_t kLinkSpeed = 1'000'000'000;  ///< bits a second, for want of a real one
constexpr uint32_t kLinkSpeedUnit = 100;
// NDIS_MAC_OPTION_*: copied lookahead, sends never pend, no loopback; 802.1p, 802.1Q.
constexpr uint32_t kMacOptions = 0x001 | 0x002 | 0x008;
constexpr uint32_t kMacOptionsOfTags = 0x040 | 0x200;
constexpr char kVendor[] = "Ringside network adapter for Xen";
/// The first three bytes are Xen's OUI, the fourth numbers the kinds of adapters.
constexpr std::array<uint8_t, 4> kVendorId{0x00, 0x16, 0x3e, 0x00};

size_t at(Cast cast) { return static_cast<size_t>(cast); }

/// A counter is asked for in 64 bits or, by older callers, in 32. Source: OID_GEN_XMIT_OK.
NdisStatus answer_counter(OidRequest& request, uint64_t value) {
  if (request.buffer.size() >= sizeof(value)) return answer(request, value);
  const NdisStatus status = answer(request, static_cast<uint32_t>(value));
  request.needed = sizeof(value);
  return status;
}

}  // namespace

std::span<const Oid> Oids::supported() { return kSupported; }

void Oids::start(const Configuration& configuration) {
  configuration_ = configuration;
  offloads_ = configuration.offloads;
  offload_v4_ = offload_v6_ = true;
  lookahead_ = host_.mtu();
  apply();
}

void Oids::apply() {
  configuration_.offloads = effective();
  host_.configured(configuration_);
}

NdisStatus Oids::query(OidRequest& request) {
  if (const auto value = number(request.oid)) return answer(request, *value);
  if (const auto value = counter(request.oid)) return answer_counter(request, *value);
  return query_structure(request);
}

std::optional<uint32_t> Oids::number(Oid oid) {
  const uint32_t frame = host_.mtu();
  const uint32_t total = frame + xenvif::kEthernetHeader;
  switch (oid) {
    case Oid::kGenHardwareStatus: return kHardwareReady;
    case Oid::kGenMediaSupported:
    case Oid::kGenMediaInUse: return kMedium8023;
    case Oid::kGenPhysicalMedium: return kPhysicalMedium8023;
    case Oid::kGenMaximumLookahead:
    case Oid::kGenMaximumFrameSize: return frame;
    case Oid::kGenMaximumTotalSize:
    case Oid::kGenTransmitBlockSize:
    case Oid::kGenReceiveBlockSize: return total;
    case Oid::kGenTransmitBufferSpace:
    case Oid::kGenReceiveBufferSpace: return total * xenvif::kRingSlots;
    case Oid::kGenLinkSpeed: return static_cast<uint32_t>(kLinkSpeed / kLinkSpeedUnit);
    case Oid::kGenCurrentPacketFilter: return configuration_.filter;
    case Oid::kGenCurrentLookahead: return lookahead_;
    case Oid::kGenMacOptions: return kMacOptions | (configuration_.vlan ? kMacOptionsOfTags : 0);
    case Oid::kGenMediaConnectStatus: return host_.link_is_up() ? 0 : 1;
    case Oid::kGenMaximumSendPackets: return xenvif::kRingSlots;
    case Oid::kGenVendorDriverVersion: return kDriverVersion;
    case Oid::k8023MaximumListSize: return static_cast<uint32_t>(Configuration::kMaxMulticast);
    case Oid::k8023RcvErrorAlignment:
    case Oid::k8023XmitOneCollision:
    case Oid::k8023XmitMoreCollisions: return 0;
    default: return {};
  }
}

std::optional<uint64_t> Oids::counter(Oid oid) {
  const Statistics now = host_.statistics();
  if (oid == Oid::kGenTransmitQueueLength) return now.queued;
  if (oid == Oid::kGenRcvCrcError) return 0;
  if (const auto sent = sent_counter(oid, now.sent)) return sent;
  return received_counter(oid, now.received);
}

std::optional<uint64_t> Oids::sent_counter(Oid oid, const Traffic& sent) {
  switch (oid) {
    case Oid::kGenXmitOk: return sent.all_frames();
    case Oid::kGenXmitError: return sent.errors;
    case Oid::kGenXmitDiscards: return sent.discards;
    case Oid::kGenBytesXmit: return sent.all_bytes();
    case Oid::kGenDirectedBytesXmit: return sent.bytes[at(Cast::kDirected)];
    case Oid::kGenDirectedFramesXmit: return sent.frames[at(Cast::kDirected)];
    case Oid::kGenMulticastBytesXmit: return sent.bytes[at(Cast::kMulticast)];
    case Oid::kGenMulticastFramesXmit: return sent.frames[at(Cast::kMulticast)];
    case Oid::kGenBroadcastBytesXmit: return sent.bytes[at(Cast::kBroadcast)];
    case Oid::kGenBroadcastFramesXmit: return sent.frames[at(Cast::kBroadcast)];
    default: return {};
  }
}

std::optional<uint64_t> Oids::received_counter(Oid oid, const Traffic& received) {
  switch (oid) {
    case Oid::kGenRcvOk: return received.all_frames();
    case Oid::kGenRcvError: return received.errors;
    case Oid::kGenRcvDiscards: return received.discards;
    case Oid::kGenRcvNoBuffer: return received.no_buffer;
    case Oid::kGenBytesRcv: return received.all_bytes();
    case Oid::kGenDirectedBytesRcv: return received.bytes[at(Cast::kDirected)];
    case Oid::kGenDirectedFramesRcv: return received.frames[at(Cast::kDirected)];
    case Oid::kGenMulticastBytesRcv: return received.bytes[at(Cast::kMulticast)];
    case Oid::kGenMulticastFramesRcv: return received.frames[at(Cast::kMulticast)];
    case Oid::kGenBroadcastBytesRcv: return received.bytes[at(Cast::kBroadcast)];
    case Oid::kGenBroadcastFramesRcv: return received.frames[at(Cast::kBroadcast)];
    default: return {};
  }
}

NdisStatus Oids::query_structure(OidRequest& request) {
  switch (request.oid) {
    case Oid::kGenSupportedList: return answer_bytes(request, std::as_bytes(std::span(kSupported)));
    case Oid::kGenVendorId: return answer(request, kVendorId);
    case Oid::kGenVendorDescription:
      return answer_bytes(request, std::as_bytes(std::span(kVendor)));
    case Oid::kGenDriverVersion: return answer(request, kNdisVersion);
    case Oid::kGenLinkState: return answer(request, link_state());
    case Oid::kGenInterruptModeration:
      return answer(
          request, InterruptModeration{
                       {kTypeDefault, 1, sizeof(InterruptModeration)}, 0, kModerationNotSupported});
    case Oid::kGenStatistics: return answer(request, statistics_info());
    case Oid::kGenReceiveHash: return query_hash(request);
    case Oid::k8023PermanentAddress: return answer(request, host_.permanent_address());
    case Oid::k8023CurrentAddress: return answer(request, configuration_.mac);
    case Oid::k8023MulticastList:
      return answer_bytes(
          request,
          std::as_bytes(std::span(configuration_.multicast).first(configuration_.multicast_count)));
    case Oid::kTcpOffloadCurrentConfig: return answer(request, current_offload());
    case Oid::kTcpOffloadHardwareCapabilities: return answer(request, hardware_offload());
    case Oid::kPnpQueryPower: return query_power(request);
    case Oid::kPmCurrentCapabilities:
    case Oid::kPmHardwareCapabilities:  // a virtual machine's network wakes nobody
      return answer(request, PmCapabilities{.header = {kTypeDefault, 2, sizeof(PmCapabilities)},
                                            .flags = 0,
                                            .patterns = {},
                                            .save_buffer = 0,
                                            .offloads = {},
                                            .wake_up = {},
                                            .events = {}});
    case Oid::kPmParameters:
      return answer(request, PmParameters{{kTypeDefault, 2, sizeof(PmParameters)}, 0, 0, 0, 0});
    case Oid::kGenReceiveScaleParameters:
    case Oid::kGenLinkParameters:
    case Oid::kOffloadEncapsulation:
    case Oid::kTcpOffloadParameters:
    case Oid::kPnpSetPower: return NdisStatus::kInvalidOid;
    default: return NdisStatus::kNotSupported;
  }
}

NdisStatus Oids::query_power(OidRequest& request) {
  const auto state = taken<PowerState>(request);
  if (!state) return NdisStatus::kBufferTooShort;
  const bool known = *state >= PowerState::kD0 && *state <= PowerState::kD3;
  return known ? NdisStatus::kSuccess : NdisStatus::kInvalidData;
}

LinkState Oids::link_state() {
  const bool up = host_.link_is_up();
  const uint64_t speed = up ? kLinkSpeed : kLinkSpeedUnknown;
  return {.header = {kTypeDefault, 1, sizeof(LinkState)},
          .connected = up ? ConnectState::kConnected : ConnectState::kDisconnected,
          .duplex = up ? DuplexState::kFull : DuplexState::kUnknown,
          .padding = 0,
          .xmit_speed = speed,
          .rcv_speed = speed,
          .pause_functions = kPauseFunctionsUnsupported,
          .auto_negotiation = 0};
}

StatisticsInfo Oids::statistics_info() {
  const Statistics now = host_.statistics();
  const Traffic& in = now.received;
  const Traffic& out = now.sent;
  return {.header = {kTypeDefault, 1, sizeof(StatisticsInfo)},
          .supported = kStatisticsAll,
          .in_discards = in.discards,
          .in_errors = in.errors,
          .in_octets = in.all_bytes(),
          .in_directed_frames = in.frames[at(Cast::kDirected)],
          .in_multicast_frames = in.frames[at(Cast::kMulticast)],
          .in_broadcast_frames = in.frames[at(Cast::kBroadcast)],
          .out_octets = out.all_bytes(),
          .out_directed_frames = out.frames[at(Cast::kDirected)],
          .out_multicast_frames = out.frames[at(Cast::kMulticast)],
          .out_broadcast_frames = out.frames[at(Cast::kBroadcast)],
          .out_errors = out.errors,
          .out_discards = out.discards,
          .in_directed_octets = in.bytes[at(Cast::kDirected)],
          .in_multicast_octets = in.bytes[at(Cast::kMulticast)],
          .in_broadcast_octets = in.bytes[at(Cast::kBroadcast)],
          .out_directed_octets = out.bytes[at(Cast::kDirected)],
          .out_multicast_octets = out.bytes[at(Cast::kMulticast)],
          .out_broadcast_octets = out.bytes[at(Cast::kBroadcast)]};
}

}  // namespace ringside::xennet
