#include "sim/machine/grant_table.hpp"

#include <algorithm>

#include "sim/machine/machine.hpp"

namespace ringside::sim {
namespace {

constexpr uint32_t kMaxEntriesPerFrame = kPageSize / sizeof(grant_entry_v1_t);
constexpr uint32_t kEntriesPerFrameV2 = kPageSize / sizeof(grant_entry_v2_t);
constexpr uint32_t kStatusPerFrame = kPageSize / sizeof(grant_status_t);
constexpr uint32_t kFramesPerStatusFrame = kStatusPerFrame / kEntriesPerFrameV2;
constexpr uint32_t kMaxUses = 128;  // Xen's pin counts have eight bits and stop at the highest

constexpr uint32_t status_frames_for(uint32_t frames) {
  return (frames + kFramesPerStatusFrame - 1) / kFramesPerStatusFrame;
}

}  // namespace

GrantTable::GrantTable(Machine& machine, Domain& owner)
    : machine_(machine),
      owner_(owner),
      max_frames_(machine.config().max_grant_frames),
      max_status_frames_(status_frames_for(max_frames_)),
      max_maps_(machine.config().max_maptrack_frames * kMapsPerFrame),
      first_frame_(machine.frames().allocate(max_frames_).value()),
      first_status_(machine.frames().allocate(max_status_frames_).value()),
      active_(std::make_unique<Active[]>(max_frames_ * kMaxEntriesPerFrame)) {
  grow(1);
}

GrantTable::~GrantTable() {
  machine_.frames().release(first_frame_, max_frames_);
  machine_.frames().release(first_status_, max_status_frames_);
}

bool GrantTable::grow(uint32_t frames) {
  if (frames > max_frames_) return false;
  uint32_t current = frames_.load();
  while (current < frames && !frames_.compare_exchange_weak(current, frames)) {
  }
  return true;
}

uint32_t GrantTable::frames() const { return frames_.load(); }

uint32_t GrantTable::entries() const {
  return frames() * (version() == 1 ? kMaxEntriesPerFrame : kEntriesPerFrameV2);
}

uint32_t GrantTable::status_frames() const {
  return version() == 1 ? 0 : status_frames_for(frames());
}

std::optional<MachineFrame> GrantTable::status_frame(uint64_t index) {
  if (version() == 1 || index >= max_status_frames_) return std::nullopt;
  const auto wanted = static_cast<uint32_t>(index);
  // Xen grows by whole status frames here: the entries of all eight frames, or none.
  if (wanted >= status_frames() && !grow((wanted + 1) * kFramesPerStatusFrame)) return std::nullopt;
  return first_status_ + wanted;
}

grant_entry_v1_t& GrantTable::entry(GrantRef ref) const {
  return reinterpret_cast<grant_entry_v1_t*>(machine_.frames().address(first_frame_))[ref];
}

grant_entry_v2_t& GrantTable::entry_v2(GrantRef ref) const {
  return reinterpret_cast<grant_entry_v2_t*>(machine_.frames().address(first_frame_))[ref];
}

grant_status_t& GrantTable::status_word(GrantRef ref) const {
  return reinterpret_cast<grant_status_t*>(machine_.frames().address(first_status_))[ref];
}

uint32_t GrantTable::use_count(GrantRef ref) const {
  const std::lock_guard lock(mutex_);
  return active_[ref].readers + active_[ref].writers;
}

/// What an entry permits becomes what its users hold. With mutex_ held, of an unused entry.
int16_t GrantTable::pin_frame(GrantRef ref, DomainId user) {
  const auto frame = owner_.machine_frame(granted_gfn(ref));
  if (!frame) return GNTST_bad_page;
  Active& active = active_[ref];
  active.user = user;
  active.frame = *frame;
  const uint16_t flags = std::atomic_ref(header(ref).flags).load(std::memory_order_acquire);
  const bool sub_page = version() == 2 && (flags & GTF_sub_page) != 0;
  active.sub_page = sub_page;
  active.start = sub_page ? entry_v2(ref).sub_page.page_off : 0;
  active.length = sub_page ? entry_v2(ref).sub_page.length : kPageSize;
  return GNTST_okay;
}

GrantMap GrantTable::acquire(DomainId user, GrantRef ref, bool read_only, GrantUse use) {
  GrantMap result;
  if (owner_.dying()) {
    result.status = GNTST_bad_domain;
    return result;
  }
  const std::lock_guard lock(mutex_);
  if (ref >= entries()) {
    result.status = GNTST_bad_gntref;
    return result;
  }
  Active& active = active_[ref];
  const bool in_use = active.in_use();
  if (in_use && (active.user != user || active.readers >= kMaxUses || active.writers >= kMaxUses ||
                 (use == GrantUse::kMap && active.sub_page))) {
    return result;
  }
  if (!in_use || (!read_only && active.writers == 0)) {
    result.status = mark_used(ref, user, read_only, use);
    if (result.status != GNTST_okay) return result;
    if (!in_use) {
      result.status = pin_frame(ref, user);
      if (result.status != GNTST_okay) {
        clear_marks(ref, read_only);
        return result;
      }
    }
  }
  ++(read_only ? active.readers : active.writers);
  machine_.frames().pin(active.frame);
  result.status = GNTST_okay;
  result.frame = active.frame;
  result.start = active.start;
  result.length = active.length;
  return result;
}

void GrantTable::release(GrantRef ref, bool read_only) {
  const std::lock_guard lock(mutex_);
  Active& active = active_[ref];
  --(read_only ? active.readers : active.writers);
  // After this the granter may take the page back: all accesses must have been before.
  clear_marks(ref, read_only);
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
  result = domain->grants().acquire(owner_.id(), ref, read_only, GrantUse::kMap);
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
    const uint16_t flags = std::atomic_ref(header(ref).flags).load();
    // The reserved entries belong to the toolstack: xenstored maps one as long as it lives.
    if (ref < GNTTAB_NR_RESERVED_ENTRIES) continue;
    const std::string name = "grant " + std::to_string(ref);
    if (uses > 0) {
      findings.push_back(who + name + " is still in use by domain " +
                         std::to_string(active_[ref].user) + ", " + std::to_string(uses) +
                         " times");
    } else if ((flags & GTF_type_mask) != GTF_invalid) {
      findings.push_back(who + name + " is still permitted to domain " +
                         std::to_string(header(ref).domid) + ", gfn " +
                         std::to_string(granted_gfn(ref)));
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
