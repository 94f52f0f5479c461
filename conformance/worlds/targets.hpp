#pragma once

#include <functional>
#include <vector>

#include "conformance/rig/site.hpp"

namespace ringside::conformance {

/// Where faults can strike in one world. All of it outlives who strikes.
struct Targets {
  struct Device {
    DriverGuest* guest = nullptr;
    sim::DevicePaths paths;
    /// Gives the guest, which is domain `domid` of `site` from now on, the device there.
    std::function<sim::DevicePaths(Site& site, uint16_t domid)> attach;
  };
  std::vector<Site*> sites;  ///< the first one is where all guests begin
  std::vector<DriverGuest*> guests;
  std::vector<Device> devices;
  /// Lets the power of the disks fail; what they then hold is for `choose`, 0..bound-1.
  std::function<void(const std::function<uint64_t(uint64_t bound)>& choose)> cut_power;

  Host& host() const { return sites.front()->host(); }
};

}  // namespace ringside::conformance
