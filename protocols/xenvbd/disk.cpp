#include "protocols/xenvbd/disk.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "protocols/platform/platform.hpp"
#include "protocols/xenvbd/request.hpp"
#include "protocols/xenvbd/wire.hpp"

namespace ringside::xenvbd {
namespace {

constexpr uint32_t kMax32 = std::numeric_limits<uint32_t>::max();

uint32_t read_number32(const xenbus::Node& node, std::string_view key, uint32_t fallback) {
  return static_cast<uint32_t>(std::min<uint64_t>(node.read_number(key, fallback), kMax32));
}

DiscardLimits read_discard(const xenbus::Node& backend, uint32_t sector_size) {
  DiscardLimits limits;
  limits.supported =
      backend.read_flag("feature-discard", false) && backend.read_flag("discard-enable", true);
  limits.secure = limits.supported && backend.read_flag("discard-secure", false);
  // BLKIF-NEG-001: what isn't there is as the header says, and nonsense is as if not there.
  limits.granularity = read_number32(backend, "discard-granularity", sector_size);
  if (limits.granularity < sector_size || limits.granularity % sector_size != 0) {
    limits.granularity = sector_size;
  }
  limits.alignment = read_number32(backend, "discard-alignment", 0);
  if (limits.alignment % sector_size != 0) limits.alignment = 0;
  return limits;
}

}  // namespace

uint32_t read_ring_page_order(const xenbus::Node& backend) {
  // BLKIF-NEG-003: two nodes name the same limit; the larger one holds. BLKIF-NEG-002: a
  // number of pages that is no power of two is rounded down.
  const uint32_t order = read_number32(backend, "max-ring-page-order", 0);
  const uint32_t pages = std::max(read_number32(backend, "max-ring-pages", 1), 1u);
  const auto order_of_pages = static_cast<uint32_t>(std::bit_width(pages)) - 1;
  return std::min(std::max(order, order_of_pages), kMaxRingPageOrder);
}

Result<Disk> read_disk(const xenbus::Node& backend) {
  // BLKIF-NEG-032: a new back end, a new disk: nothing of an earlier one's features stays.
  Disk disk;
  constexpr uint64_t kAbsent = ~uint64_t{0};
  disk.sectors = backend.read_number("sectors", kAbsent);
  if (disk.sectors == kAbsent) return Status::kPeerViolation;
  // BLKIF-NEG-009
  disk.sector_size = read_number32(backend, "sector-size", kSectorBytes);
  if (!std::has_single_bit(disk.sector_size) || disk.sector_size < kSectorBytes ||
      disk.sector_size > platform::kPageSize) {
    return Status::kNotSupported;
  }
  disk.physical_sector_size = read_number32(backend, "physical-sector-size", disk.sector_size);
  if (disk.physical_sector_size == 0 || disk.physical_sector_size % disk.sector_size != 0) {
    return Status::kPeerViolation;
  }
  const uint32_t info = read_number32(backend, "info", 0);  // BLKIF-NEG-026
  disk.cdrom = (info & VDISK_CDROM) != 0;
  disk.removable = (info & VDISK_REMOVABLE) != 0;
  disk.read_only = (info & VDISK_READONLY) != 0;
  disk.flush_cache = backend.read_flag("feature-flush-cache", false);
  disk.barrier = backend.read_flag("feature-barrier", false);
  disk.discard = read_discard(backend, disk.sector_size);
  disk.max_indirect_segments = read_number32(backend, "feature-max-indirect-segments", 0);
  return disk;
}

}  // namespace ringside::xenvbd
