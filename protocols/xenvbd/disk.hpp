#pragma once

#include <cstdint>

#include "protocols/platform/status.hpp"
#include "protocols/xenbus/node.hpp"

namespace ringside::xenvbd {

/// How a flush is carried out.
enum class FlushMode : uint8_t {
  kNone,     ///< the back end can't; flushes complete with kOk and guarantee nothing
  kBarrier,  ///< BLKIF_OP_WRITE_BARRIER without data
  kCache,    ///< BLKIF_OP_FLUSH_DISKCACHE
};

/// What may be discarded, in bytes from the disk's beginning.
struct DiscardLimits {
  bool supported = false;
  bool secure = false;
  uint32_t granularity = 0;
  uint32_t alignment = 0;
  bool operator==(const DiscardLimits&) const = default;
};

/// A connected back end's device properties. Source: xen/io/blkif.h.
struct Disk {
  uint64_t sectors = 0;  ///< in units of 512 bytes, whatever sector_size [BLKIF-NEG-008]
  uint32_t sector_size = 512;
  uint32_t physical_sector_size = 512;
  bool read_only = false;
  bool removable = false;
  bool cdrom = false;
  bool barrier = false;
  bool flush_cache = false;
  DiscardLimits discard;
  bool persistent = false;             ///< keeps what it mapped [BLKIF-IO-023]
  uint32_t max_indirect_segments = 0;  ///< 0: direct requests only

  FlushMode flush_mode() const {
    if (flush_cache) return FlushMode::kCache;
    return barrier ? FlushMode::kBarrier : FlushMode::kNone;
  }
  bool operator==(const Disk&) const = default;
};

/// The largest ring, as its order in pages, that the back end maps. Fails as the store does when
/// a node that may be there could not be read. [BLKIF-NEG-003]
Result<uint32_t> read_ring_page_order(const xenbus::Node& backend);

/// How many queues the back end serves, at least 1. Else as above. [BLKIF-NEG-007]
Result<uint32_t> read_max_queues(const xenbus::Node& backend);

/// Reads what a back end publishes before it is Connected; what an earlier one had is
/// forgotten. kNotSupported: a sector size that is no power of two in 512..4096.
/// kPeerViolation: a physical size that doesn't go with it, or no size at all. Else as above.
/// [BLKIF-NEG-001, BLKIF-NEG-009, BLKIF-NEG-032]
Result<Disk> read_disk(const xenbus::Node& backend);

}  // namespace ringside::xenvbd
