#include "backends/netback/static_grants.hpp"

#include <sys/mman.h>

#include <utility>

namespace ringside::backends {

bool StaticGrants::add(std::span<const xen_netif_gref> list) {
  if (list.size() > most_ - pages_.size()) return false;
  std::map<uint32_t, void*> fresh;
  bool all = true;
  for (const xen_netif_gref& entry : list) {
    all = !pages_.contains(entry.ref) && !fresh.contains(entry.ref);
    if (!all) break;
    const int access =
        (entry.flags & XEN_NETIF_CTRLF_GREF_readonly) != 0 ? PROT_READ : PROT_READ | PROT_WRITE;
    void* page = xengnttab_map_grant_ref(handles_->grants, domain_, entry.ref, access);
    all = page != nullptr;
    if (!all) break;
    fresh.emplace(entry.ref, page);
  }
  if (all) {
    pages_.merge(fresh);
    index();
  } else {
    for (const auto& [ref, page] : fresh) unmap(page);
  }
  return all;
}

uint32_t StaticGrants::remove(std::span<xen_netif_gref> list) {
  uint32_t removed = 0;
  for (xen_netif_gref& entry : list) {
    const auto found = pages_.find(entry.ref);
    entry.status = found == pages_.end() ? XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER
                                         : XEN_NETIF_CTRL_STATUS_SUCCESS;
    if (found == pages_.end()) continue;
    unmap(found->second);
    pages_.erase(found);
    ++removed;
  }
  index();
  return removed;
}

void StaticGrants::index() {
  by_ref_.assign(pages_.empty() ? 0 : pages_.rbegin()->first + size_t{1}, nullptr);
  for (const auto& [ref, page] : pages_) by_ref_[ref] = static_cast<const std::byte*>(page);
}

void StaticGrants::clear() {
  for (const auto& [ref, page] : std::exchange(pages_, {})) unmap(page);
  index();
}

}  // namespace ringside::backends
