#pragma once

#include <cstdint>
#include <vector>

#include "backends/blkback/profile.hpp"
#include "backends/netback/profile.hpp"

namespace ringside::conformance {

/// A cable between the vifs of two guests, or of one.
struct CableSpec {
  unsigned left = 0;  ///< which guest
  unsigned right = 0;
};

struct DiskSpec {
  unsigned guest = 0;
  uint64_t sectors = 0;
};

/// What there is in a world and what its guests do, all drawn from the seed.
struct Scenario {
  std::vector<unsigned> vcpus;  ///< by guest
  std::vector<CableSpec> cables;
  std::vector<DiskSpec> disks;
  backends::NetbackProfile net;
  backends::BlkbackProfile blk;
  uint32_t ring_page_order = 0;
  uint32_t queues = 1;             ///< at most, of each device
  uint32_t persistent_grants = 1;  ///< 0: disks do without
  bool trusted = true;             ///< what disks are told of their back end
  unsigned frames = 0;             ///< each end sends in a round
  unsigned requests = 0;           ///< each disk gets in a round
  unsigned rounds = 1;             ///< each on a connection of its own
};

Scenario draw_scenario(uint64_t seed);

}  // namespace ringside::conformance
