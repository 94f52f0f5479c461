#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
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
  uint32_t start = 0;           ///< the bytes that may be copied: a sub-page grant names them
  uint32_t length = kPageSize;  ///< of them
};

/// What a user of a grant is about to do with it: only whole pages can be mapped.
enum class GrantUse : uint8_t { kMap, kCopy };

/// One domain's grants to others (shared entries of version 1 or 2, and how often each is in
/// use) and its own maps of others' grants. Source: xen/grant_table.h. Thread-safe.
///
/// Transitive grants are refused, as by a Xen that runs with gnttab=no-transitive.
class GrantTable {
 public:
  static constexpr uint32_t kMapsPerFrame = 256;

  GrantTable(Machine& machine, Domain& owner);
  ~GrantTable();

  // --- the owner as granter -------------------------------------------------------------
  /// Grows the table to at least `frames`; false beyond the limit.
  bool grow(uint32_t frames);
  uint32_t frames() const;
  uint32_t max_frames() const { return max_frames_; }
  /// Precondition: index < frames().
  MachineFrame shared_frame(uint32_t index) const { return first_frame_ + index; }
  /// Frames of status words: none in version 1. They grow with the table.
  uint32_t status_frames() const;
  /// Grows the table until it has status frame `index`; nothing when it never can.
  std::optional<MachineFrame> status_frame(uint64_t index);
  uint32_t entries() const;
  uint32_t version() const { return version_.load(std::memory_order_acquire); }
  /// GNTTABOP_set_version: 0 or -errno. Keeps the reserved entries and clears all others.
  int64_t set_version(uint32_t version);
  /// GNTTABOP_swap_grant_ref: a GNTST_* code.
  int16_t swap(GrantRef a, GrantRef b);

  /// A shared entry of a version 1 table. Precondition: ref < entries().
  grant_entry_v1_t& entry(GrantRef ref) const;
  /// The same of a version 2 table.
  grant_entry_v2_t& entry_v2(GrantRef ref) const;
  /// Where Xen marks an entry of a version 2 table as in use.
  grant_status_t& status_word(GrantRef ref) const;
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

  /// Holds a granted frame for `user`, who maps it or copies from or to it.
  GrantMap acquire(DomainId user, GrantRef ref, bool read_only, GrantUse use);
  void release(GrantRef ref, bool read_only);

  void audit(std::vector<std::string>& findings) const;

 private:
  struct Active {
    uint32_t readers = 0;
    uint32_t writers = 0;
    DomainId user = 0;
    MachineFrame frame = 0;
    bool sub_page = false;
    uint32_t start = 0;
    uint32_t length = kPageSize;

    bool in_use() const { return readers + writers > 0; }
  };
  struct Mapping {
    bool live = false;
    bool read_only = false;
    DomainId granter = 0;
    GrantRef ref = 0;
    MachineFrame frame = 0;
  };

  grant_entry_header_t& header(GrantRef ref) const;
  std::atomic_ref<uint16_t> marks(GrantRef ref) const;
  uint64_t granted_gfn(GrantRef ref) const;
  int16_t mark_used(GrantRef ref, DomainId user, bool read_only, GrantUse use);
  int16_t mark_used_v1(GrantRef ref, DomainId user, bool read_only, uint16_t form);
  int16_t mark_used_v2(GrantRef ref, DomainId user, bool read_only, uint16_t form);
  void clear_marks(GrantRef ref, bool read_only);
  int16_t pin_frame(GrantRef ref, DomainId user);
  int64_t read_reserved(grant_entry_v1_t* reserved) const;
  void write_reserved(const grant_entry_v1_t* reserved);
  void drop_status_frames();

  Machine& machine_;
  Domain& owner_;
  uint32_t max_frames_;
  uint32_t max_status_frames_;
  uint32_t max_maps_;
  MachineFrame first_frame_;
  MachineFrame first_status_;
  std::atomic<uint32_t> frames_{0};
  std::atomic<uint32_t> version_{1};
  mutable std::mutex mutex_;  // active_, changes of version_
  std::unique_ptr<Active[]> active_;
  mutable std::mutex maps_mutex_;  // maps_, free_handles_; never held with another's mutex_
  std::vector<Mapping> maps_;
  std::vector<uint32_t> free_handles_;
};

}  // namespace ringside::sim
