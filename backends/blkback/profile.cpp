#include "backends/blkback/profile.hpp"

#include <array>

namespace ringside::backends {
namespace {

// What each writes and does: drivers/block/xen-blkback, the classic Xen 3.x blkback, QEMU's
// hw/block/xen-block.c, blktap's drivers/td-req.c and tapback, FreeBSD's sys/dev/xen/blkback.
constexpr std::array kProfiles{
    BlkbackProfile{.name = "linux",
                   .description = "xen-blkback of a current Linux dom0",
                   .discard_granularity = 4096,
                   .max_queues = 4,
                   .max_persistent = 1056},
    BlkbackProfile{.name = "linux3",
                   .description = "xen-blkback of Linux 3.11: one ring of one page",
                   .max_ring_page_order = 0,
                   .discard_granularity = 4096,
                   .max_persistent = 1056},
    BlkbackProfile{.name = "classic",
                   .description = "blkback of the Xen 3.x kernels: barriers only, one page",
                   .flush_cache = false,
                   .discard = false,
                   .max_indirect_segments = 0,
                   .max_ring_page_order = 0},
    BlkbackProfile{.name = "qdisk",
                   .description = "QEMU's xen-block: copies, no indirect requests",
                   .barrier = false,
                   .max_indirect_segments = 0,
                   .discard_granularity = 512,
                   .map_data = false},
    BlkbackProfile{.name = "tapdisk",
                   .description = "XenServer's tapdisk: reads, writes and barriers alone",
                   .flush_cache = false,
                   .discard = false,
                   .max_indirect_segments = 0,
                   .max_ring_page_order = 3,
                   .map_data = false},
    BlkbackProfile{.name = "freebsd",
                   .description = "FreeBSD's blkback: sectors in units of the sector size",
                   .discard = false,
                   .max_indirect_segments = 0,
                   .own_sectors = true},
};

}  // namespace

std::span<const BlkbackProfile> blkback_profiles() { return kProfiles; }

std::optional<BlkbackProfile> find_blkback_profile(std::string_view name) {
  for (const BlkbackProfile& profile : kProfiles) {
    if (profile.name == name) return profile;
  }
  return {};
}

}  // namespace ringside::backends
