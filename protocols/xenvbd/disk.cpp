#include "protocols/xenvbd/disk.hpp"

#include <algorithm>
#include <bit>

#include "protocols/platform/platform.hpp"
#include "protocols/xenvbd/request.hpp"
#include "protocols/xenvbd/wire.hpp"

namespace ringside::xenvbd {
namespace {

DiscardLimits read_discard(xenbus::Fields& fields, uint32_t sector_size) {
  DiscardLimits limits;
  limits.supported = fields.flag("feature-discard", false) && fields.flag("discard-enable", true);
  limits.secure = limits.supported && fields.flag("discard-secure", false);
  // BLKIF-NEG-001: what isn't there is as the header says, and nonsense is as if not there.
  limits.granularity = fields.number32("discard-granularity", sector_size);
  if (limits.granularity < sector_size || limits.granularity % sector_size != 0) {
    limits.granularity = sector_size;
  }
  limits.alignment = fields.number32("discard-alignment", 0);
  if (limits.alignment % sector_size != 0) limits.alignment = 0;
  return limits;
}

}  // namespace

Result<uint32_t> read_ring_page_order(const xenbus::Node& backend) {
  xenbus::Fields fields(backend);
  // BLKIF-NEG-003: two nodes name the same limit; the larger one holds. BLKIF-NEG-002: a
  // number of pages that is no power of two is rounded down.
  const uint32_t order = fields.number32("max-ring-page-order", 0);
  const uint32_t pages = std::max(fields.number32("max-ring-pages", 1), 1u);
  if (!ok(fields.status())) return fields.status();
  const auto order_of_pages = static_cast<uint32_t>(std::bit_width(pages)) - 1;
  return std::min(std::max(order, order_of_pages), kMaxRingPageOrder);
}

Result<uint32_t> read_max_queues(const xenbus::Node& backend) {
  xenbus::Fields fields(backend);
  // BLKIF-NEG-007: a back end that says 0 knows of one queue all the same.
  const uint32_t queues = std::max(fields.number32("multi-queue-max-queues", 1), 1u);
  if (!ok(fields.status())) return fields.status();
  return uint32_t{queues};
}

Result<Disk> read_disk(const xenbus::Node& backend) {
  // BLKIF-NEG-032: a new back end, a new disk: nothing of an earlier one's features stays.
  xenbus::Fields fields(backend);
  Disk disk;
  constexpr uint64_t kAbsent = ~uint64_t{0};
  disk.sectors = fields.number("sectors", kAbsent);
  if (!ok(fields.status())) return fields.status();
  if (disk.sectors == kAbsent) return Status::kPeerViolation;
  // BLKIF-NEG-009
  disk.sector_size = fields.number32("sector-size", kSectorBytes);
  if (!std::has_single_bit(disk.sector_size) || disk.sector_size < kSectorBytes ||
      disk.sector_size > platform::kPageSize) {
    return Status::kNotSupported;
  }
  disk.physical_sector_size = fields.number32("physical-sector-size", disk.sector_size);
  if (disk.physical_sector_size == 0 || disk.physical_sector_size % disk.sector_size != 0) {
    return Status::kPeerViolation;
  }
  const uint32_t info = fields.number32("info", 0);  // BLKIF-NEG-026
  disk.cdrom = (info & VDISK_CDROM) != 0;
  disk.removable = (info & VDISK_REMOVABLE) != 0;
  disk.read_only = (info & VDISK_READONLY) != 0;
  disk.flush_cache = fields.flag("feature-flush-cache", false);
  disk.barrier = fields.flag("feature-barrier", false);
  disk.discard = read_discard(fields, disk.sector_size);
  disk.persistent = fields.flag("feature-persistent", false);
  disk.max_indirect_segments = fields.number32("feature-max-indirect-segments", 0);
  if (!ok(fields.status())) return fields.status();
  return disk;
}

}  // namespace ringside::xenvbd
