#pragma once

#include <string_view>

#include "sim/toolstack/toolstack.hpp"

namespace ringside::sim {

// Devices as xl.cfg describes them. What is wrong with a description is said in one sentence, by
// std::invalid_argument.

/// An element of vif=[...], the `handle`-th: "mac=00:16:3e:12:34:56,bridge=xenbr0".
/// Source: xl-network-configuration(5)
VifConfig parse_vif(std::string_view text, unsigned handle);

/// An element of disk=[...]: "/dev/vg/guest,raw,xvda,rw", or with keys.
/// Source: xl-disk-configuration(5)
VbdConfig parse_disk(std::string_view text);

/// The number of a virtual device by its name: xvda, hdc, sdb3, d16p1, or the number itself.
/// Source: xen-vbd-interface(7)
unsigned vdev_number(std::string_view name);

}  // namespace ringside::sim
