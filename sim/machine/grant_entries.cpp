// The shared entries of a grant table, of either version: how Xen marks them as in use, and how
// a table changes its version. Source: xen/grant_table.h.

#include <algorithm>
#include <array>
#include <cstring>

#include "sim/machine/machine.hpp"
#include "sim/machine/xen_errno.hpp"

namespace ringside::sim {
namespace {

constexpr int kTries = 5;  // a guest that keeps changing an entry does not hold Xen up

/// flags and domid of an entry, which Xen (and a revoking guest) exchanges together.
struct Header {
  explicit Header(uint32_t word)
      : flags(static_cast<uint16_t>(word)), domid(static_cast<uint16_t>(word >> 16)) {}

  bool permits(DomainId user, uint16_t form) const {
    return (flags & form) == GTF_permit_access && domid == user;
  }
  bool read_only() const { return (flags & GTF_readonly) != 0; }

  uint16_t flags;
  uint16_t domid;
};

}  // namespace

grant_entry_header_t& GrantTable::header(GrantRef ref) const {
  return version() == 1 ? reinterpret_cast<grant_entry_header_t&>(entry(ref)) : entry_v2(ref).hdr;
}

std::atomic_ref<uint16_t> GrantTable::marks(GrantRef ref) const {
  return std::atomic_ref(version() == 1 ? entry(ref).flags : status_word(ref));
}

uint64_t GrantTable::granted_gfn(GrantRef ref) const {
  return version() == 1 ? entry(ref).frame : entry_v2(ref).full_page.frame;
}

void GrantTable::permit(GrantRef ref, DomainId peer, uint64_t gfn, bool read_only) {
  header(ref).domid = peer;
  if (version() == 1) {
    entry(ref).frame = static_cast<uint32_t>(gfn);
  } else {
    entry_v2(ref).full_page.frame = gfn;
  }
  const uint16_t flags = GTF_permit_access | (read_only ? GTF_readonly : 0);
  std::atomic_ref(header(ref).flags).store(flags, std::memory_order_release);
}

int16_t GrantTable::mark_used(GrantRef ref, DomainId user, bool read_only, GrantUse use) {
  // Part of a page can't be mapped. Transitive grants fail the comparison of types.
  const uint16_t form = GTF_type_mask | (use == GrantUse::kMap ? GTF_sub_page : 0);
  return version() == 1 ? mark_used_v1(ref, user, read_only, form)
                        : mark_used_v2(ref, user, read_only, form);
}

int16_t GrantTable::mark_used_v1(GrantRef ref, DomainId user, bool read_only, uint16_t form) {
  const std::atomic_ref shared(reinterpret_cast<uint32_t&>(entry(ref)));
  uint32_t seen = shared.load(std::memory_order_acquire);
  const uint32_t marks = read_only ? GTF_reading : GTF_reading | GTF_writing;
  for (int i = 0; i < kTries; ++i) {
    const Header header(seen);
    if (!active_[ref].in_use() && !header.permits(user, form)) return GNTST_general_error;
    if (!read_only && header.read_only()) return GNTST_general_error;
    if (shared.compare_exchange_strong(seen, seen | marks, std::memory_order_acq_rel)) {
      return GNTST_okay;
    }
  }
  return GNTST_general_error;
}

int16_t GrantTable::mark_used_v2(GrantRef ref, DomainId user, bool read_only, uint16_t form) {
  const std::atomic_ref shared(reinterpret_cast<uint32_t&>(entry_v2(ref)));
  const auto fits = [&] {
    const Header header(shared.load(std::memory_order_seq_cst));
    if (!active_[ref].in_use() && !header.permits(user, form)) return false;
    return read_only || !header.read_only();
  };
  if (!fits()) return GNTST_general_error;
  const uint16_t marks = read_only ? GTF_reading : GTF_reading | GTF_writing;
  std::atomic_ref(status_word(ref)).fetch_or(marks, std::memory_order_seq_cst);
  // A granter that ended access before it could see the marks must find them gone again.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (fits()) return GNTST_okay;
  clear_marks(ref, read_only);
  return GNTST_general_error;
}

/// Takes away what no user needs any more. With mutex_ held.
void GrantTable::clear_marks(GrantRef ref, bool read_only) {
  const Active& active = active_[ref];
  uint16_t cleared = 0;
  if (!read_only && active.writers == 0) cleared |= GTF_writing;
  if (!active.in_use()) cleared |= GTF_reading;
  marks(ref).fetch_and(static_cast<uint16_t>(~cleared), std::memory_order_acq_rel);
}

int64_t GrantTable::read_reserved(grant_entry_v1_t* reserved) const {
  for (GrantRef ref = 0; ref < GNTTAB_NR_RESERVED_ENTRIES; ++ref) {
    if (version() == 1) {
      reserved[ref] = entry(ref);
      continue;
    }
    const grant_entry_v2_t& from = entry_v2(ref);
    const unsigned type = from.hdr.flags & GTF_type_mask;
    const bool wide = type == GTF_permit_access && from.full_page.frame >> 32 != 0;
    if (wide || type == GTF_transitive) return error(XEN_ERANGE);
    if (type != GTF_permit_access) continue;
    reserved[ref].flags = static_cast<uint16_t>(from.hdr.flags | status_word(ref));
    reserved[ref].domid = from.hdr.domid;
    reserved[ref].frame = static_cast<uint32_t>(from.full_page.frame);
  }
  return 0;
}

void GrantTable::write_reserved(const grant_entry_v1_t* reserved) {
  constexpr unsigned kMarks = GTF_reading | GTF_writing;
  for (GrantRef ref = 0; ref < GNTTAB_NR_RESERVED_ENTRIES; ++ref) {
    const grant_entry_v1_t& from = reserved[ref];
    if (version() == 1) {
      entry(ref) = from;
      continue;
    }
    status_word(ref) = static_cast<uint16_t>(from.flags & kMarks);
    grant_entry_v2_t& to = entry_v2(ref);
    to.full_page.frame = from.frame;
    to.hdr.domid = from.domid;
    to.hdr.flags = static_cast<uint16_t>(from.flags & ~kMarks);
  }
}

void GrantTable::drop_status_frames() {
  for (uint32_t i = 0; i < status_frames(); ++i) {
    const uint64_t gfn = owner_.gfn_of(first_status_ + i);
    if (gfn != Domain::kNoFrame) owner_.displace(gfn);
  }
}

int64_t GrantTable::set_version(uint32_t wanted) {
  if (wanted != 1 && wanted != 2) return error(XEN_EINVAL);
  if (wanted > machine_.config().max_grant_version) return error(XEN_ENOSYS);
  if (wanted == version()) return 0;
  const std::lock_guard lock(mutex_);
  for (GrantRef ref = GNTTAB_NR_RESERVED_ENTRIES; ref < entries(); ++ref) {
    if (active_[ref].in_use()) return error(XEN_EBUSY);
  }
  std::array<grant_entry_v1_t, GNTTAB_NR_RESERVED_ENTRIES> reserved{};
  if (const int64_t failed = read_reserved(reserved.data()); failed != 0) return failed;
  drop_status_frames();
  std::memset(machine_.frames().address(first_frame_), 0, size_t{frames()} * kPageSize);
  std::memset(machine_.frames().address(first_status_), 0, size_t{max_status_frames_} * kPageSize);
  version_.store(wanted, std::memory_order_release);
  write_reserved(reserved.data());
  return 0;
}

int16_t GrantTable::swap(GrantRef a, GrantRef b) {
  const std::lock_guard lock(mutex_);
  if (a >= entries() || b >= entries()) return GNTST_bad_gntref;
  if (a == b) return GNTST_okay;
  if (active_[a].in_use() || active_[b].in_use()) return GNTST_eagain;
  if (version() == 1) {
    std::swap(entry(a), entry(b));
  } else {
    std::swap(entry_v2(a), entry_v2(b));
    std::swap(status_word(a), status_word(b));
  }
  return GNTST_okay;
}

}  // namespace ringside::sim
