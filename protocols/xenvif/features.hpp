#pragma once

#include <cstdint>

#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/node.hpp"

namespace ringside::xenvif {

/// What the back end says it can do; the defaults are those of a node that is absent.
/// Source: xen/io/netif.h.
struct BackendFeatures {
  bool scatter_gather = false;     ///< feature-sg [NETIF-TX-009]
  bool gso_v4 = false;             ///< feature-gso-tcpv4 [NETIF-TX-008]
  bool gso_v6 = false;             ///< feature-gso-tcpv6
  bool checksum_v4 = true;         ///< not feature-no-csum-offload [NETIF-NEG-007]
  bool checksum_v6 = false;        ///< feature-ipv6-csum-offload
  bool split_channels = false;     ///< feature-split-event-channels [NETIF-NEG-003]
  bool control_ring = false;       ///< feature-ctrl-ring [NETIF-CTL-013]
  bool multicast = false;          ///< feature-multicast-control [NETIF-CTL-011]
  bool multicast_dynamic = false;  ///< feature-dynamic-multicast-control
  uint32_t max_queues = 1;         ///< multi-queue-max-queues [NETIF-NEG-004]
};

/// Fails as the store does when a node that may be there could not be read.
Result<BackendFeatures> read_features(const xenbus::Node& backend);

inline constexpr uint16_t kDefaultMtu = 1500;

/// How this front end behaves, from the toolstack's nodes and the driver's settings.
struct Settings {
  uint16_t mtu = kDefaultMtu;   ///< `mtu` of the front end's directory [NETIF-NEG-015]
  bool trusted = true;          ///< `trusted`: 0 makes transmit copy everything [NETIF-NEG-016]
  bool always_copy = false;     ///< TransmitterAlwaysCopy
  bool transmit_gso_v4 = true;  ///< not TransmitterDisableIpVersion4Gso
  bool transmit_gso_v6 = true;  ///< not TransmitterDisableIpVersion6Gso
  bool receive_gso_v4 = true;   ///< not ReceiverDisableIpVersion4Gso
  bool receive_gso_v6 = true;   ///< not ReceiverDisableIpVersion6Gso
};

/// Fails as read_features() does.
Result<Settings> read_settings(platform::Platform& platform, const xenbus::Node& frontend);

}  // namespace ringside::xenvif
