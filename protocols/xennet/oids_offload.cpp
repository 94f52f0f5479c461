#include <bit>

#include "protocols/xennet/oids.hpp"
#include "protocols/xennet/packet_info.hpp"

namespace ringside::xennet {
namespace {

constexpr uint32_t kMaxLargeSend = 60 * 1024;  ///< so that no headers make it exceed 64 KiB
constexpr uint32_t kMinSegments = 2;

// Pairs of bits in ChecksumOffload::bits, each NDIS_OFFLOAD_SUPPORTED.
constexpr uint32_t kIpOptions = 1u << 0;
constexpr uint32_t kTcpOptions = 1u << 2;
constexpr uint32_t kTcp = 1u << 4;
constexpr uint32_t kUdp = 1u << 6;
constexpr uint32_t kIp = 1u << 8;

ChecksumOffload checksums(bool tcp, bool udp, bool ip) {
  if (!tcp && !udp && !ip) return {0, 0};
  return {kEncapsulation8023,
          kIpOptions | kTcpOptions | (tcp ? kTcp : 0) | (udp ? kUdp : 0) | (ip ? kIp : 0)};
}

/// What OffloadParameters say of one checksum, over what is so now; false for nonsense.
bool change(uint8_t wanted, uint8_t& directions) {
  if (wanted > kOffloadMaximum) return false;
  if (wanted != kOffloadNoChange) directions = static_cast<uint8_t>(wanted - 1);
  return true;
}

bool change(uint8_t wanted, bool& on) {
  if (wanted > kOffloadEnabled) return false;
  if (wanted != kOffloadNoChange) on = wanted == kOffloadEnabled;
  return true;
}

/// `count` bytes at `offset` of the buffer; nothing when they are not all in it. [XENNET-019]
std::optional<std::span<const std::byte>> part(const OidRequest& request, uint32_t offset,
                                               uint32_t count) {
  const std::span<const std::byte> all = request.buffer;
  if (offset > all.size() || count > all.size() - offset) return {};
  return all.subspan(offset, count);
}

NdisStatus take_hash_info(uint32_t hash_info, ReceiveScaling& to) {
  const uint32_t types = hash_info & ~kHashFunctionMask;
  if ((hash_info & kHashFunctionMask) != kHashToeplitz || types == 0 || (types & ~kHashTypes)) {
    return NdisStatus::kInvalidParameter;
  }
  to.hash_types = types;
  return NdisStatus::kSuccess;
}

NdisStatus take_key(const OidRequest& request, uint32_t offset, uint16_t size, ReceiveScaling& to) {
  const auto key = part(request, offset, size);
  if (!key) return NdisStatus::kInvalidLength;
  if (size == 0 || size > to.key.size()) return NdisStatus::kInvalidParameter;
  to.key = {};
  std::memcpy(to.key.data(), key->data(), size);
  to.key_size = size;
  return NdisStatus::kSuccess;
}

NdisStatus take_table(const OidRequest& request, const ReceiveScaleParameters& wanted,
                      ReceiveScaling& to) {
  const bool numbers = wanted.header.revision >= 2;
  const size_t entry = numbers ? sizeof(ProcessorNumber) : 1;
  const auto table = part(request, wanted.table_offset, wanted.table_size);
  if (!table) return NdisStatus::kInvalidLength;
  const size_t count = table->size() / entry;
  if (table->size() % entry != 0 || count > to.table.size() || !std::has_single_bit(count)) {
    return NdisStatus::kInvalidParameter;
  }
  for (size_t i = 0; i < count; ++i) {
    ProcessorNumber cpu{};
    if (numbers) {
      std::memcpy(&cpu, &(*table)[i * entry], sizeof(cpu));
    } else {
      cpu.number = std::to_integer<uint8_t>((*table)[i]);
    }
    if (cpu.group != 0) return NdisStatus::kInvalidParameter;
    to.table[i] = cpu.number;
  }
  to.table_size = static_cast<uint16_t>(count);
  return NdisStatus::kSuccess;
}

}  // namespace

NdisStatus Oids::set_offloads(OidRequest& request) {
  OffloadParameters wanted;
  const NdisStatus status = take_object(request, kTypeDefault, kOffloadParameters1, wanted);
  if (status != NdisStatus::kSuccess) return status;
  // XENNET-020: all that is asked for, or nothing of it.
  Offloads next = offloads_;
  const bool sensible =
      change(wanted.ip_v4, next.ip_v4) && change(wanted.tcp_v4, next.tcp_v4) &&
      change(wanted.udp_v4, next.udp_v4) && change(wanted.tcp_v6, next.tcp_v6) &&
      change(wanted.udp_v6, next.udp_v6) && change(wanted.large_send_v4, next.large_send_v4) &&
      change(wanted.large_send_v6, next.large_send_v6) &&
      change(wanted.coalesce_v4, next.coalesce_v4) && change(wanted.coalesce_v6, next.coalesce_v6);
  if (!sensible) return NdisStatus::kInvalidParameter;
  for (const uint8_t lacking :
       {wanted.large_send_v1, wanted.ipsec_v1, wanted.connection_v4, wanted.connection_v6,
        wanted.ipsec_v2, wanted.ipsec_v2_ipv4, wanted.encapsulated}) {
    if (lacking > kOffloadDisabled) return NdisStatus::kNotSupported;
  }
  offloads_ = next;
  apply_offloads();
  return NdisStatus::kSuccess;
}

NdisStatus Oids::set_encapsulation(OidRequest& request) {
  OffloadEncapsulation wanted;
  const NdisStatus status = take_object(request, kTypeOffloadEncapsulation, sizeof(wanted), wanted);
  if (status != NdisStatus::kSuccess) return status;
  for (const OffloadEncapsulation::Family& family : {wanted.v4, wanted.v6}) {
    if (family.enabled > kSetOff) return NdisStatus::kInvalidParameter;
    if (family.enabled == kSetOn && family.type != kEncapsulation8023) {
      return NdisStatus::kNotSupported;
    }
  }
  if (wanted.v4.enabled != kSetNoChange) offload_v4_ = wanted.v4.enabled == kSetOn;
  if (wanted.v6.enabled != kSetNoChange) offload_v6_ = wanted.v6.enabled == kSetOn;
  apply_offloads();
  return NdisStatus::kSuccess;
}

Offloads Oids::effective() const {
  Offloads now = offloads_;
  if (!offload_v4_) {
    now.ip_v4 = now.tcp_v4 = now.udp_v4 = 0;
    now.large_send_v4 = now.coalesce_v4 = false;
  }
  if (!offload_v6_) {
    now.tcp_v6 = now.udp_v6 = 0;
    now.large_send_v6 = now.coalesce_v6 = false;
  }
  return now;
}

void Oids::apply_offloads() {
  apply();
  const Offload now = current_offload();
  host_.indicate(NdisStatus::kOffloadConfig, std::as_bytes(std::span(&now, 1)));
}

Offload Oids::describe(const Offloads& offloads) {
  const auto sum = [&](uint8_t direction, bool v4) {
    const auto has = [&](uint8_t directions) { return (directions & direction) != 0; };
    return v4 ? checksums(has(offloads.tcp_v4), has(offloads.udp_v4), has(offloads.ip_v4))
              : checksums(has(offloads.tcp_v6), has(offloads.udp_v6), false);
  };
  Offload all{};
  all.header = {kTypeOffload, 3, sizeof(Offload)};
  all.send_v4 = sum(kOffloadSend, true);
  all.receive_v4 = sum(kOffloadReceive, true);
  all.send_v6 = sum(kOffloadSend, false);
  all.receive_v6 = sum(kOffloadReceive, false);
  if (offloads.large_send_v4) {
    all.large_send_v4 = {kEncapsulation8023, kMaxLargeSend, kMinSegments};
  }
  if (offloads.large_send_v6) {
    all.large_send_v6 = {kEncapsulation8023, kMaxLargeSend, kMinSegments, kIpOptions | kTcpOptions};
  }
  all.coalesce_v4 = offloads.coalesce_v4 ? 1 : 0;
  all.coalesce_v6 = offloads.coalesce_v6 ? 1 : 0;
  return all;
}

NdisStatus Oids::set_scaling(OidRequest& request) {
  ReceiveScaleParameters wanted;
  NdisStatus status = take_object(request, kTypeRssParameters, kReceiveScaleParameters1, wanted);
  if (status != NdisStatus::kSuccess) return status;
  if (wanted.header.revision >= 2 && wanted.header.size < kReceiveScaleParameters2) {
    return NdisStatus::kInvalidLength;
  }
  if (!configuration_.scaling_allowed) return NdisStatus::kNotSupported;
  ReceiveScaling next = configuration_.scaling;
  const bool hash_only = next.hash_types != 0 && !next.spread;
  const bool off = (wanted.flags & kRssDisable) ||
                   (!(wanted.flags & kRssHashInfoUnchanged) && wanted.hash_info == 0);
  if (off) {
    if (!hash_only) next.hash_types = 0;
    next.spread = false;
  } else {
    // OID_GEN_RECEIVE_HASH: only one of the two at a time.
    if (hash_only) return NdisStatus::kInvalidParameter;
    if (!(wanted.flags & kRssHashInfoUnchanged)) status = take_hash_info(wanted.hash_info, next);
    if (status == NdisStatus::kSuccess && !(wanted.flags & kRssKeyUnchanged)) {
      status = take_key(request, wanted.key_offset, wanted.key_size, next);
    }
    if (status == NdisStatus::kSuccess && !(wanted.flags & kRssTableUnchanged)) {
      status = take_table(request, wanted, next);
    }
    if (status != NdisStatus::kSuccess) return status;
    next.spread = true;
    if (next.hash_types == 0 || next.key_size == 0 || next.table_size == 0) {
      return NdisStatus::kInvalidParameter;
    }
  }
  configuration_.scaling = next;
  apply();
  return NdisStatus::kSuccess;
}

NdisStatus Oids::set_hash(OidRequest& request) {
  ReceiveHashParameters wanted;
  NdisStatus status = take_object(request, kTypeDefault, sizeof(wanted), wanted);
  if (status != NdisStatus::kSuccess) return status;
  ReceiveScaling next = configuration_.scaling;
  if (next.spread) return NdisStatus::kInvalidParameter;
  if (!(wanted.flags & kHashEnable)) {
    next.hash_types = 0;
  } else {
    if (!(wanted.flags & kHashInfoUnchanged)) status = take_hash_info(wanted.hash_info, next);
    if (status == NdisStatus::kSuccess && !(wanted.flags & kHashKeyUnchanged)) {
      status = take_key(request, wanted.key_offset, wanted.key_size, next);
    }
    if (status != NdisStatus::kSuccess) return status;
    if (next.hash_types == 0 || next.key_size == 0) return NdisStatus::kInvalidParameter;
  }
  configuration_.scaling = next;
  apply();
  return NdisStatus::kSuccess;
}

NdisStatus Oids::query_hash(OidRequest& request) {
  struct {
    ReceiveHashParameters parameters;
    std::array<std::byte, ReceiveScaling::kKey> key;
  } now{};
  const ReceiveScaling& scaling = configuration_.scaling;
  const bool on = scaling.hash_types != 0 && !scaling.spread;
  now.parameters = {.header = {kTypeDefault, 1, sizeof(ReceiveHashParameters)},
                    .flags = on ? kHashEnable : 0,
                    .hash_info = on ? scaling.hash_types | kHashToeplitz : 0,
                    .key_size = scaling.key_size,
                    .padding = 0,
                    .key_offset = sizeof(ReceiveHashParameters)};
  now.key = scaling.key;
  return answer(request, now);
}

}  // namespace ringside::xennet
