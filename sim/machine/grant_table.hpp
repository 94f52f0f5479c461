#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "protocols/platform/xen.hpp"
#include "sim/machine/frames.hpp"

namespace ringside::sim {

using DomainId = uint16_t;  ///< domid_t of xen.h
using GrantRef = uint32_t;  ///< grant_ref_t of grant_table.h

class Domain;
class Machine;

/// A live map of a granted frame; `status` is a GNTST_* code and the rest holds when it is
/// GNTST_okay.
struct GrantMap {
  int16_t status = GNTST_general_error;
  uint32_t handle = 0;
  MachineFrame frame = 0;
};

/// One domain's grants to others (version 1 entries in shared frames, and how often each is
/// in use) and its own maps of others' grants. Source: xen/grant_table.h. Thread-safe.
class GrantTable {
 public:
  GrantTable(Machine& machine, Domain& owner, uint32_t max_frames, uint32_t max_maps);
  ~GrantTable();

  // --- the owner as granter -------------------------------------------------------------
  /// Grows the table to at least `frames`; false beyond the limit.
  bool grow(uint32_t frames);
  uint32_t frames() const;
  uint32_t max_frames() const { return max_frames_; }
  /// Precondition: index < frames().
  MachineFrame shared_frame(uint32_t index) const { return first_frame_ + index; }
  uint32_t entries() const;
  /// The shared entry. Precondition: ref < entries().
  grant_entry_v1_t& entry(GrantRef ref) const;
  /// Writes an entry on the owner's behalf, as a toolstack does for the reserved ones.
  void permit(GrantRef ref, DomainId peer, uint64_t gfn, bool read_only = false);
  /// How many maps and copies use the entry now.
  uint32_t use_count(GrantRef ref) const;

  // --- the owner as user of others' grants ----------------------------------------------
  /// GNTTABOP_map_grant_ref without placing the page anywhere.
  GrantMap map(DomainId granter, GrantRef ref, bool read_only);
  /// Ends a map; GNTST_bad_handle when there is none of that number.
  int16_t unmap(uint32_t handle);
  /// The frame behind a live handle.
  std::optional<MachineFrame> mapped_frame(uint32_t handle) const;
  uint32_t map_count() const;
  void unmap_all();

  /// One side of GNTTABOP_copy: holds a granted frame for the duration of a copy.
  GrantMap acquire(DomainId user, GrantRef ref, bool read_only);
  void release(GrantRef ref, bool read_only);

  void audit(std::vector<std::string>& findings) const;

 private:
  struct Active {
    uint32_t readers = 0;
    uint32_t writers = 0;
    DomainId user = 0;
    MachineFrame frame = 0;
  };
  struct Mapping {
    bool live = false;
    bool read_only = false;
    DomainId granter = 0;
    GrantRef ref = 0;
    MachineFrame frame = 0;
  };

  int16_t mark_used(GrantRef ref, DomainId user, bool read_only);

  Machine& machine_;
  Domain& owner_;
  uint32_t max_frames_;
  uint32_t max_maps_;
  MachineFrame first_frame_;
  std::atomic<uint32_t> frames_{0};
  mutable std::mutex mutex_;  // active_
  std::unique_ptr<Active[]> active_;
  mutable std::mutex maps_mutex_;  // maps_, free_handles_; never held with another's mutex_
  std::vector<Mapping> maps_;
  std::vector<uint32_t> free_handles_;
};

}  // namespace ringside::sim
