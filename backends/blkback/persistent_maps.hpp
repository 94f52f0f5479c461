#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <vector>

#include "backends/blkback/blkback.hpp"
#include "backends/xenbus/handles.hpp"

namespace ringside::backends {

/// The pages of one guest's queue that stay mapped from one request to the next, found by their
/// references. Source: xen/io/blkif.h, feature-persistent. [BLKIF-IO-023]
class PersistentMaps {
 public:
  /// Keeps up to `bound` pages.
  PersistentMaps(Handles& handles, uint16_t domain, size_t bound, BlkbackStatistics& statistics)
      : handles_(handles), domain_(domain), bound_(bound), statistics_(statistics) {}
  ~PersistentMaps();
  PersistentMaps(const PersistentMaps&) = delete;
  PersistentMaps& operator=(const PersistentMaps&) = delete;

  /// One address for each of `refs`, good until finish(); false when one of them can't be mapped
  /// for writing.
  bool map(std::span<const grant_ref_t> refs, std::vector<std::byte*>& pages);
  /// Unmaps what map() found no room for.
  void finish();

 private:
  struct Kept {
    grant_ref_t ref;
    std::byte* page;
    uint64_t used;  ///< in which call
  };

  bool find(grant_ref_t ref);
  void make_room(size_t wanted);
  std::byte* map_one(grant_ref_t ref);

  Handles& handles_;
  uint16_t domain_;
  size_t bound_;
  BlkbackStatistics& statistics_;
  uint64_t calls_ = 0;
  std::list<Kept> kept_;  ///< the most recently used first
  std::map<grant_ref_t, std::list<Kept>::iterator> by_ref_;
  std::vector<std::byte*> passing_;  ///< mapped beyond the bound, until finish()
};

}  // namespace ringside::backends
