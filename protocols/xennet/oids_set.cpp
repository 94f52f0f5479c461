#include "protocols/xennet/oids.hpp"

namespace ringside::xennet {

NdisStatus Oids::set(OidRequest& request) {
  switch (request.oid) {
    case Oid::kGenCurrentPacketFilter: return set_filter(request);
    case Oid::kGenCurrentLookahead: return set_lookahead(request);
    case Oid::k8023MulticastList: return set_multicast(request);
    case Oid::kGenLinkParameters: return set_link(request);
    case Oid::kTcpOffloadParameters: return set_offloads(request);
    case Oid::kOffloadEncapsulation: return set_encapsulation(request);
    case Oid::kGenReceiveScaleParameters: return set_scaling(request);
    case Oid::kGenReceiveHash: return set_hash(request);
    case Oid::kPnpSetPower: return set_power(request);
    case Oid::kPmParameters: return set_pm(request);
    case Oid::kGenInterruptModeration: return NdisStatus::kInvalidData;  // there is none to set
    default: break;
  }
  for (const Oid known : supported()) {
    if (known == request.oid) return NdisStatus::kInvalidOid;
  }
  return NdisStatus::kNotSupported;
}

NdisStatus Oids::set_filter(OidRequest& request) {
  const auto filter = taken<uint32_t>(request);
  if (!filter) return NdisStatus::kInvalidLength;
  if (*filter & ~kFilters) return NdisStatus::kNotSupported;
  configuration_.filter = *filter;
  apply();
  return NdisStatus::kSuccess;
}

NdisStatus Oids::set_lookahead(OidRequest& request) {
  const auto lookahead = taken<uint32_t>(request);
  if (!lookahead) return NdisStatus::kInvalidLength;
  // All of a packet is always indicated, so this need only be remembered.
  if (*lookahead > host_.mtu()) return NdisStatus::kInvalidData;
  lookahead_ = *lookahead;
  return NdisStatus::kSuccess;
}

NdisStatus Oids::set_multicast(OidRequest& request) {
  constexpr size_t kAddress = sizeof(MacAddress);
  const size_t count = request.buffer.size() / kAddress;
  if (request.buffer.size() % kAddress != 0) {
    request.needed = static_cast<uint32_t>((count + 1) * kAddress);
    return NdisStatus::kInvalidLength;
  }
  if (count > Configuration::kMaxMulticast) {
    request.needed = Configuration::kMaxMulticast * kAddress;
    return NdisStatus::kMulticastFull;
  }
  std::array<MacAddress, Configuration::kMaxMulticast> addresses{};
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(addresses[i].data(), &request.buffer[i * kAddress], kAddress);
    if (cast_of(addresses[i]) == Cast::kDirected) return NdisStatus::kInvalidData;
  }
  configuration_.multicast = addresses;
  configuration_.multicast_count = count;
  request.done = static_cast<uint32_t>(request.buffer.size());
  apply();
  return NdisStatus::kSuccess;
}

/// A virtual link has nothing to set; what asks for no more than it has is granted.
NdisStatus Oids::set_link(OidRequest& request) {
  LinkParameters wanted;
  const NdisStatus status = take_object(request, kTypeDefault, sizeof(wanted), wanted);
  if (status != NdisStatus::kSuccess) return status;
  const LinkState have = link_state();
  const auto speed_fits = [](uint64_t asked, uint64_t is) {
    return asked == 0 || asked == kLinkSpeedUnknown || asked == is;
  };
  const bool fits = wanted.duplex != DuplexState::kHalf &&
                    wanted.pause_functions == kPauseFunctionsUnsupported &&
                    speed_fits(wanted.xmit_speed, have.xmit_speed) &&
                    speed_fits(wanted.rcv_speed, have.rcv_speed);
  return fits ? NdisStatus::kSuccess : NdisStatus::kNotSupported;
}

NdisStatus Oids::set_power(OidRequest& request) {
  const auto state = taken<PowerState>(request);
  if (!state) return NdisStatus::kInvalidLength;
  if (*state < PowerState::kD0 || *state > PowerState::kD3) return NdisStatus::kInvalidData;
  return host_.set_power(*state);
}

NdisStatus Oids::set_pm(OidRequest& request) {
  PmParameters wanted;
  const NdisStatus status = take_object(request, kTypeDefault, kPmParameters1, wanted);
  if (status != NdisStatus::kSuccess) return status;
  const bool none = wanted.patterns == 0 && wanted.offloads == 0 && wanted.wake_up_flags == 0 &&
                    wanted.media_events == 0;
  return none ? NdisStatus::kSuccess : NdisStatus::kInvalidParameter;
}

}  // namespace ringside::xennet
