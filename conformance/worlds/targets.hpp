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

  Host& host() const { return sites.front()->host(); }
};

}  // namespace ringside::conformance
