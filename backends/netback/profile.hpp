#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ringside::backends {

/// Which netback the reference one behaves as: features, limits, habits.
struct NetbackProfile {
  std::string_view name;
  std::string_view description;
  bool scatter_gather = true;
  bool gso_v4 = true;
  bool gso_v6 = true;
  bool checksum_v4 = true;  ///< false writes feature-no-csum-offload
  bool checksum_v6 = true;
  bool split_channels = true;
  bool rx_flip_node = false;  ///< writes the feature-rx-flip = 0 of old back ends
  bool control_ring = true;
  bool multicast = true;           ///< feature-multicast-control
  bool multicast_dynamic = true;   ///< feature-dynamic-multicast-control
  uint32_t max_static_grants = 0;  ///< for each queue, over the control ring
  uint32_t max_queues = 1;         ///< 0: the node is not written
  bool map_transmit = true;        ///< maps what the guest sends; otherwise grant copy
  uint16_t receive_offset = 0;     ///< where in each page data for the guest begins
};

/// The known ones.
std::span<const NetbackProfile> netback_profiles();
std::optional<NetbackProfile> find_netback_profile(std::string_view name);

}  // namespace ringside::backends
