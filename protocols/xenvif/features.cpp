#include "protocols/xenvif/features.hpp"

#include "protocols/platform/xen.hpp"
#include "protocols/xenvif/headers.hpp"

namespace ringside::xenvif {

Result<BackendFeatures> read_features(const xenbus::Node& backend) {
  xenbus::Fields fields(backend);
  BackendFeatures features;
  features.scatter_gather = fields.flag("feature-sg", false);
  features.gso_v4 = fields.flag("feature-gso-tcpv4", false);
  features.gso_v6 = fields.flag("feature-gso-tcpv6", false);
  // NETIF-NEG-007: IPv4 offload is on unless refused, IPv6 off unless offered.
  features.checksum_v4 = !fields.flag("feature-no-csum-offload", false);
  features.checksum_v6 = fields.flag("feature-ipv6-csum-offload", false);
  features.split_channels = fields.flag("feature-split-event-channels", false);
  features.control_ring = fields.flag("feature-ctrl-ring", false);
  features.multicast = fields.flag("feature-multicast-control", false);
  features.multicast_dynamic = fields.flag("feature-dynamic-multicast-control", false);
  const uint64_t queues = fields.number("multi-queue-max-queues", 1);
  features.max_queues = queues == 0 || queues > 0xffff ? 1 : static_cast<uint32_t>(queues);
  if (!ok(fields.status())) return fields.status();
  return features;
}

Result<Settings> read_settings(platform::Platform& platform, const xenbus::Node& frontend) {
  xenbus::Fields fields(frontend);
  Settings settings;
  // NETIF-NEG-015: absent is 1500, and what cannot be an MTU is taken as absent.
  constexpr uint64_t kSmallestMtu = 68;
  constexpr uint64_t kLargestMtu = XEN_NETIF_MAX_TX_SIZE - kEthernetHeader - 2 * kVlanTag;
  const uint64_t mtu = fields.number("mtu", kDefaultMtu);
  if (mtu >= kSmallestMtu && mtu <= kLargestMtu) settings.mtu = static_cast<uint16_t>(mtu);
  settings.trusted = fields.flag("trusted", true);
  if (!ok(fields.status())) return fields.status();
  settings.always_copy = platform.setting("TransmitterAlwaysCopy", 0) != 0;
  settings.transmit_gso_v4 = platform.setting("TransmitterDisableIpVersion4Gso", 0) == 0;
  settings.transmit_gso_v6 = platform.setting("TransmitterDisableIpVersion6Gso", 0) == 0;
  settings.receive_gso_v4 = platform.setting("ReceiverDisableIpVersion4Gso", 0) == 0;
  settings.receive_gso_v6 = platform.setting("ReceiverDisableIpVersion6Gso", 0) == 0;
  return settings;
}

}  // namespace ringside::xenvif
