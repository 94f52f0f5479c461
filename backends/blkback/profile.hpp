#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ringside::backends {

/// Which blkback the reference one behaves as: features, limits, habits.
struct BlkbackProfile {
  std::string_view name;
  std::string_view description;
  bool flush_cache = true;
  bool barrier = true;
  bool discard = true;
  uint32_t max_indirect_segments = 256;  ///< 0: the node is not written
  uint32_t max_ring_page_order = 4;      ///< 0: the node is not written
  uint32_t sector_size = 512;
  uint32_t physical_sector_size = 512;
  uint32_t discard_granularity = 0;  ///< bytes; 0: the node is not written
  uint32_t max_queues = 0;           ///< 0: the node is not written
  uint32_t max_persistent = 0;       ///< pages a queue keeps mapped; 0: not offered
  bool map_data = true;              ///< maps what the guest grants; otherwise grant copy
  /// The sectors node, sector_number and nr_sectors count in sector_size, against blkif.h.
  bool own_sectors = false;

  /// Bytes; 512 whatever the sector size, as it should be. [BLKIF-NEG-008]
  uint32_t sector_unit() const { return own_sectors ? sector_size : 512; }
};

/// The known ones: linux, linux3, classic, qdisk, tapdisk, freebsd.
std::span<const BlkbackProfile> blkback_profiles();
std::optional<BlkbackProfile> find_blkback_profile(std::string_view name);

}  // namespace ringside::backends
