#include "backends/blkback/persistent_maps.hpp"

#include <sys/mman.h>

#include <algorithm>

namespace ringside::backends {

PersistentMaps::~PersistentMaps() {
  // BLKIF-IO-024: nothing stays mapped behind a connection.
  finish();
  for (const Kept& kept : kept_) xengnttab_unmap(handles_.grants, kept.page, 1);
}

bool PersistentMaps::map(std::span<const grant_ref_t> refs, std::vector<std::byte*>& pages) {
  ++calls_;
  const auto missing =
      std::count_if(refs.begin(), refs.end(), [this](grant_ref_t ref) { return !find(ref); });
  make_room(static_cast<size_t>(missing));
  pages.clear();
  for (const grant_ref_t ref : refs) {
    std::byte* page = find(ref) ? kept_.front().page : map_one(ref);
    if (page == nullptr) return false;
    pages.push_back(page);
  }
  return true;
}

/// True when `ref` is mapped; it is then the most recently used.
bool PersistentMaps::find(grant_ref_t ref) {
  const auto found = by_ref_.find(ref);
  if (found == by_ref_.end()) return false;
  found->second->used = calls_;
  kept_.splice(kept_.begin(), kept_, found->second);
  return true;
}

void PersistentMaps::make_room(size_t wanted) {
  while (!kept_.empty() && kept_.size() + wanted > bound_ && kept_.back().used != calls_) {
    by_ref_.erase(kept_.back().ref);
    xengnttab_unmap(handles_.grants, kept_.back().page, 1);
    kept_.pop_back();
    ++statistics_.evicted;
  }
}

std::byte* PersistentMaps::map_one(grant_ref_t ref) {
  // For writing whatever the request: the next one to use the page may be a read.
  auto* page = static_cast<std::byte*>(
      xengnttab_map_grant_ref(handles_.grants, domain_, ref, PROT_READ | PROT_WRITE));
  if (page == nullptr) return nullptr;
  if (kept_.size() >= bound_) {
    passing_.push_back(page);
    return page;
  }
  kept_.push_front({ref, page, calls_});
  by_ref_[ref] = kept_.begin();
  ++statistics_.kept;
  return page;
}

void PersistentMaps::finish() {
  for (std::byte* page : passing_) xengnttab_unmap(handles_.grants, page, 1);
  passing_.clear();
}

}  // namespace ringside::backends
