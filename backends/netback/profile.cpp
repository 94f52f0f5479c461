#include "backends/netback/profile.hpp"

#include <array>

namespace ringside::backends {
namespace {

// What each writes and does: drivers/net/xen-netback of now and of Linux 3.x, the classic Xen 3.x
// netback, QEMU's hw/net/xen_nic.c, FreeBSD's sys/dev/xen/netback; and all that netif.h has.
constexpr std::array kProfiles{
    NetbackProfile{
        .name = "linux", .description = "xen-netback of a current Linux dom0", .max_queues = 4},
    NetbackProfile{.name = "linux3",
                   .description = "xen-netback of Linux 3.x: one queue, split channels",
                   .control_ring = false,
                   .multicast = false,
                   .multicast_dynamic = false,
                   .max_queues = 0},
    NetbackProfile{.name = "classic",
                   .description = "netback of the Xen 3.x kernels: one channel, IPv4 only",
                   .gso_v6 = false,
                   .checksum_v6 = false,
                   .split_channels = false,
                   .rx_flip_node = true,
                   .control_ring = false,
                   .multicast = false,
                   .multicast_dynamic = false,
                   .max_queues = 0,
                   .map_transmit = true},
    NetbackProfile{.name = "qnic",
                   .description = "QEMU's xen_nic: single slots, data at offset 2",
                   .scatter_gather = false,
                   .gso_v4 = false,
                   .gso_v6 = false,
                   .checksum_v6 = false,
                   .split_channels = false,
                   .rx_flip_node = true,
                   .control_ring = false,
                   .multicast = false,
                   .multicast_dynamic = false,
                   .max_queues = 0,
                   .map_transmit = false,
                   .receive_offset = 2},
    NetbackProfile{.name = "freebsd",
                   .description = "FreeBSD's netback: chains, but no GSO, one channel, copies",
                   .gso_v4 = false,
                   .gso_v6 = false,
                   .checksum_v6 = false,
                   .split_channels = false,
                   .control_ring = false,
                   .multicast = false,
                   .multicast_dynamic = false,
                   .max_queues = 0,
                   .map_transmit = false},
    NetbackProfile{.name = "full",
                   .description = "all that netif.h has, multicast filters set at connect only",
                   .multicast_dynamic = false,
                   .max_static_grants = 256,
                   .max_queues = 8},
};

}  // namespace

std::span<const NetbackProfile> netback_profiles() { return kProfiles; }

std::optional<NetbackProfile> find_netback_profile(std::string_view name) {
  for (const NetbackProfile& profile : kProfiles) {
    if (profile.name == name) return profile;
  }
  return {};
}

}  // namespace ringside::backends
