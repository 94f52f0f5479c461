#include "sim/machine/saved_memory.hpp"

#include "sim/machine/machine.hpp"

namespace ringside::sim {

SavedMemory::~SavedMemory() {
  if (frames == nullptr) return;
  for (const auto& [gfn, frame] : pages) frames->release(frame);
  frames->cancel_reservation(static_cast<uint32_t>(unbacked.size()));
}

SavedMemory Domain::save_memory() {
  SavedMemory saved(machine_.shared_frames());
  saved.memory_gfns = memory_gfns_;
  saved.max_pages = max_pages();
  const std::lock_guard lock(mutex_);
  for (uint64_t gfn = 0; gfn < total_gfns_; ++gfn) {
    Slot& slot = slots_[gfn];
    if (std::exchange(slot.unbacked, false)) {
      slot.spare = false;
      saved.unbacked.push_back(gfn);
      populated_.fetch_sub(1);
      continue;
    }
    if (slot.frame.load() == 0) continue;
    const bool owned = slot.owned;
    const MachineFrame frame = detach(gfn);
    if (owned) saved.pages.emplace_back(gfn, frame);
  }
  saved.next_gfn = next_gfn_;
  saved.spare = std::exchange(spare_, {});
  saved.next_hole = next_hole_;
  saved.free_holes = std::exchange(free_holes_, {});
  return saved;
}

void Domain::take_memory(SavedMemory saved) {
  saved.frames = nullptr;
  const std::lock_guard lock(mutex_);
  for (const uint64_t gfn : saved.unbacked) slots_[gfn].unbacked = true;
  for (const uint64_t gfn : saved.spare) slots_[gfn].spare = true;
  for (const auto& [gfn, frame] : saved.pages) {
    slots_[gfn].owned = true;
    slots_[gfn].frame.store(frame, std::memory_order_release);
  }
  populated_.fetch_add(static_cast<uint32_t>(saved.unbacked.size() + saved.pages.size()));
  next_gfn_ = saved.next_gfn;
  spare_ = std::move(saved.spare);
  next_hole_ = saved.next_hole;
  free_holes_ = std::move(saved.free_holes);
}

}  // namespace ringside::sim
