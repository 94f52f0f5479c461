#include "sim/machine/grant_table.hpp"

#include <algorithm>

#include "sim/machine/machine.hpp"

namespace ringside::sim {
namespace {

constexpr uint32_t kEntriesPerFrame = kPageSize / sizeof(grant_entry_v1_t);
constexpr uint32_t kMaxUses = 255;  // Xen's pin counts have eight bits

/// flags and domid of an entry, which Xen (and a revoking guest) exchanges together.
struct Header {
  uint16_t flags;
  uint16_t domid;
};

}  // namespace

GrantTable::GrantTable(Machine& machine, Domain& owner, uint32_t max_frames, uint32_t max_maps)
    : machine_(machine),
      owner_(owner),
      max_frames_(max_frames),
      max_maps_(max_maps),
      first_frame_(machine.frames().allocate(max_frames).value()),
      active_(std::make_unique<Active[]>(max_frames * kEntriesPerFrame)) {
  grow(1);
}

GrantTable::~GrantTable() { machine_.frames().release(first_frame_, max_frames_); }

bool GrantTable::grow(uint32_t frames) {
  if (frames > max_frames_) return false;
  uint32_t current = frames_.load();
  while (current < frames && !frames_.compare_exchange_weak(current, frames)) {
  }
  return true;
}

uint32_t GrantTable::frames() const { return frames_.load(); }

uint32_t GrantTable::entries() const { return frames() * kEntriesPerFrame; }

grant_entry_v1_t& GrantTable::entry(GrantRef ref) const {
  return reinterpret_cast<grant_entry_v1_t*>(machine_.frames().address(first_frame_))[ref];
}

void GrantTable::permit(GrantRef ref, DomainId peer, uint64_t gfn, bool read_only) {
  grant_entry_v1_t& shared = entry(ref);
  shared.domid = peer;
  shared.frame = static_cast<uint32_t>(gfn);
  const uint16_t flags = GTF_permit_access | (read_only ? GTF_readonly : 0);
  std::atomic_ref(shared.flags).store(flags, std::memory_order_release);
}

uint32_t GrantTable::use_count(GrantRef ref) const {
  const std::lock_guard lock(mutex_);
  return active_[ref].readers + active_[ref].writers;
}

int16_t GrantTable::mark_used(GrantRef ref, DomainId user, bool read_only) {
  auto& word = reinterpret_cast<uint32_t&>(entry(ref));
  const std::atomic_ref shared(word);
  uint32_t seen = shared.load(std::memory_order_acquire);
  for (;;) {
    Header header{static_cast<uint16_t>(seen), static_cast<uint16_t>(seen >> 16)};
    constexpr uint16_t kForm = GTF_type_mask | GTF_sub_page;
    if ((header.flags & kForm) != GTF_permit_access || header.domid != user) {
      return GNTST_general_error;
    }
    if (!read_only && (header.flags & GTF_readonly) != 0) return GNTST_general_error;
    const uint32_t marked =
        seen | static_cast<uint32_t>(read_only ? GTF_reading : GTF_reading | GTF_writing);
    if (shared.compare_exchange_weak(seen, marked, std::memory_order_acq_rel)) return GNTST_okay;
  }
}

GrantMap GrantTable::acquire(DomainId user, GrantRef ref, bool read_only) {
  GrantMap result;
  if (ref >= entries()) {
    result.status = GNTST_bad_gntref;
    return result;
  }
  const std::lock_guard lock(mutex_);
  Active& active = active_[ref];
  const bool in_use = active.readers + active.writers > 0;
  if (in_use && (active.user != user || active.readers + active.writers >= kMaxUses)) return result;
  if (!in_use || (!read_only && active.writers == 0)) {
    const int16_t status = mark_used(ref, user, read_only);
    if (status != GNTST_okay) {
      result.status = status;
      return result;
    }
    if (!in_use) {
      const auto frame = owner_.machine_frame(entry(ref).frame);
      if (!frame) {
        std::atomic_ref(entry(ref).flags)
            .fetch_and(static_cast<uint16_t>(~(GTF_reading | GTF_writing)));
        result.status = GNTST_bad_page;
        return result;
      }
      active.frame = *frame;
      active.user = user;
    }
  }
  ++(read_only ? active.readers : active.writers);
  machine_.frames().pin(active.frame);
  result.status = GNTST_okay;
  result.frame = active.frame;
  return result;
}

void GrantTable::release(GrantRef ref, bool read_only) {
  const std::lock_guard lock(mutex_);
  Active& active = active_[ref];
  --(read_only ? active.readers : active.writers);
  uint16_t cleared = 0;
  if (active.writers == 0) cleared |= GTF_writing;
  if (active.writers + active.readers == 0) cleared |= GTF_reading;
  // After this the granter may take the page back: all accesses must have been before.
  std::atomic_ref(entry(ref).flags)
      .fetch_and(static_cast<uint16_t>(~cleared), std::memory_order_acq_rel);
  machine_.frames().unpin(active.frame);
}

GrantMap GrantTable::map(DomainId granter, GrantRef ref, bool read_only) {
  GrantMap result;
  Domain* domain = granter == DOMID_SELF ? &owner_ : machine_.find(granter);
  if (domain == nullptr) {
    result.status = GNTST_bad_domain;
    return result;
  }
  uint32_t handle = 0;
  {
    const std::lock_guard lock(maps_mutex_);
    if (!free_handles_.empty()) {
      handle = free_handles_.back();
      free_handles_.pop_back();
    } else if (maps_.size() < max_maps_) {
      handle = static_cast<uint32_t>(maps_.size());
      maps_.emplace_back();
    } else {
      result.status = GNTST_no_device_space;
      return result;
    }
  }
  result = domain->grants().acquire(owner_.id(), ref, read_only);
  {
    const std::lock_guard lock(maps_mutex_);
    if (result.status == GNTST_okay) {
      maps_[handle] = {.live = true,
                       .read_only = read_only,
                       .granter = domain->id(),
                       .ref = ref,
                       .frame = result.frame};
      result.handle = handle;
    } else {
      free_handles_.push_back(handle);
    }
  }
  machine_.trace().record(
      Trace::Kind::kGrant, "map",
      {owner_.id(), granter, ref, read_only ? 1u : 0u, static_cast<uint64_t>(result.status)});
  return result;
}

int16_t GrantTable::unmap(uint32_t handle) {
  Mapping mapping;
  {
    const std::lock_guard lock(maps_mutex_);
    if (handle >= maps_.size() || !maps_[handle].live) return GNTST_bad_handle;
    mapping = maps_[handle];
    maps_[handle].live = false;
    free_handles_.push_back(handle);
  }
  machine_.find_even_dead(mapping.granter)->grants().release(mapping.ref, mapping.read_only);
  machine_.trace().record(Trace::Kind::kGrant, "unmap",
                          {owner_.id(), mapping.granter, mapping.ref});
  return GNTST_okay;
}

std::optional<MachineFrame> GrantTable::mapped_frame(uint32_t handle) const {
  const std::lock_guard lock(maps_mutex_);
  if (handle >= maps_.size() || !maps_[handle].live) return std::nullopt;
  return maps_[handle].frame;
}

uint32_t GrantTable::map_count() const {
  const std::lock_guard lock(maps_mutex_);
  return static_cast<uint32_t>(
      std::count_if(maps_.begin(), maps_.end(), [](const Mapping& map) { return map.live; }));
}

void GrantTable::unmap_all() {
  uint32_t count = 0;
  {
    const std::lock_guard lock(maps_mutex_);
    count = static_cast<uint32_t>(maps_.size());
  }
  for (uint32_t handle = 0; handle < count; ++handle) unmap(handle);
}

void GrantTable::audit(std::vector<std::string>& findings) const {
  const std::string who = "domain " + std::to_string(owner_.id()) + ": ";
  for (GrantRef ref = 0; ref < entries(); ++ref) {
    const uint32_t uses = use_count(ref);
    const uint16_t flags = std::atomic_ref(entry(ref).flags).load();
    // The reserved entries belong to the toolstack: xenstored maps one as long as it lives.
    if (ref < GNTTAB_NR_RESERVED_ENTRIES) continue;
    const std::string name = "grant " + std::to_string(ref);
    if (uses > 0) {
      findings.push_back(who + name + " is still in use by domain " +
                         std::to_string(active_[ref].user) + ", " + std::to_string(uses) +
                         " times");
    } else if ((flags & GTF_type_mask) != GTF_invalid) {
      findings.push_back(who + name + " is still permitted to domain " +
                         std::to_string(entry(ref).domid) + ", gfn " +
                         std::to_string(entry(ref).frame));
    }
  }
  const std::lock_guard lock(maps_mutex_);
  for (const Mapping& map : maps_) {
    if (!map.live || map.ref < GNTTAB_NR_RESERVED_ENTRIES) continue;
    findings.push_back(who + "still maps grant " + std::to_string(map.ref) + " of domain " +
                       std::to_string(map.granter));
  }
}

}  // namespace ringside::sim
