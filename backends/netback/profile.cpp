#include "backends/netback/profile.hpp"

#include <array>

namespace ringside::backends {
namespace {

// What each writes and does: drivers/net/xen-netback, the classic Xen 3.x netback, QEMU's
// hw/net/xen_nic.c.
constexpr std::array kProfiles{
    NetbackProfile{
        .name = "linux", .description = "xen-netback of a current Linux dom0", .max_queues = 4},
    NetbackProfile{.name = "classic",
                   .description = "netback of the Xen 3.x kernels: one channel, IPv4 only",
                   .gso_v6 = false,
                   .checksum_v6 = false,
                   .split_channels = false,
                   .rx_flip_node = true,
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
                   .max_queues = 0,
                   .map_transmit = false,
                   .receive_offset = 2},
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
