#pragma once

#include "protocols/platform/xen.hpp"
#include "protocols/xenvif/packet.hpp"

namespace ringside::xenvif {

/// Extra infos as they go over the rings, either way. Source: xen/io/netif.h, "Extra Info".
inline netif_extra_info_t gso_extra(GsoType type, uint16_t size, bool more) {
  netif_extra_info_t info{};
  info.type = XEN_NETIF_EXTRA_TYPE_GSO;
  info.flags = more ? XEN_NETIF_EXTRA_FLAG_MORE : 0;
  info.u.gso.size = size;
  info.u.gso.type = static_cast<uint8_t>(type);
  return info;
}

inline netif_extra_info_t hash_extra(const PacketHash& hash) {
  netif_extra_info_t info{};
  info.type = XEN_NETIF_EXTRA_TYPE_HASH;
  info.u.hash.type = static_cast<uint8_t>(hash.type);
  info.u.hash.algorithm = XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ;
  for (unsigned i = 0; i < sizeof(info.u.hash.value); ++i) {
    info.u.hash.value[i] = static_cast<uint8_t>(hash.value >> 8 * i);  // NETIF-RX-029
  }
  return info;
}

/// kNone when it is of no kind that netif.h knows.
inline PacketHash hash_of(const netif_extra_info_t& extra) {
  const auto& hash = extra.u.hash;
  if (hash.algorithm != XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ ||
      hash.type > static_cast<uint8_t>(HashType::kTcpV6)) {
    return {};
  }
  uint32_t value = 0;
  for (unsigned i = 0; i < sizeof(hash.value); ++i) value |= uint32_t{hash.value[i]} << 8 * i;
  return {static_cast<HashType>(hash.type), value};
}

}  // namespace ringside::xenvif
