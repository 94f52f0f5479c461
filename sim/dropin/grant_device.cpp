#include "sim/dropin/grant_device.hpp"

#include <cerrno>

namespace ringside::sim::dropin {
namespace {

/// More than any client's copies: one that only ever holds is stopped.
constexpr size_t kMostHeld = 2 * kBatch;

Page page_of(const GrantMap& map) {
  return {.status = map.status,
          .handle = map.handle,
          .frame = map.frame,
          .start = map.start,
          .length = map.length};
}

}  // namespace

GrantDevice::~GrantDevice() {
  let_go();
  for (const uint32_t handle : maps_) domain_.grants().unmap(handle);
}

int32_t GrantDevice::map(std::span<const Grant> grants, std::span<Page> pages) {
  std::vector<uint32_t> made;
  for (size_t i = 0; i < grants.size(); ++i) {
    const auto [granter, ref, writable] = grants[i];
    const GrantMap map = granter > UINT16_MAX ? GrantMap{.status = GNTST_bad_domain}
                                              : domain_.grants().map(static_cast<DomainId>(granter),
                                                                     ref, writable == 0);
    if (map.status != GNTST_okay) {
      for (const uint32_t handle : made) domain_.grants().unmap(handle);
      return -EINVAL;
    }
    made.push_back(map.handle);
    pages[i] = page_of(map);
  }
  maps_.insert(made.begin(), made.end());
  return 0;
}

int32_t GrantDevice::unmap(std::span<const uint32_t> handles) {
  const std::set<uint32_t> ending(handles.begin(), handles.end());
  if (ending.size() != handles.size()) return -EINVAL;
  for (const uint32_t handle : ending) {
    if (!maps_.contains(handle)) return -EINVAL;
  }
  for (const uint32_t handle : ending) {
    domain_.grants().unmap(handle);
    maps_.erase(handle);
  }
  return 0;
}

void GrantDevice::hold(std::span<const Grant> grants, std::span<Page> pages) {
  for (size_t i = 0; i < grants.size(); ++i) {
    const auto [id, ref, writable] = grants[i];
    pages[i] = {.status = GNTST_bad_domain};
    if (id > UINT16_MAX || held_.size() == kMostHeld) continue;
    Domain* granter =
        id == DOMID_SELF ? &domain_ : domain_.machine().find(static_cast<DomainId>(id));
    if (granter == nullptr) continue;
    const bool read_only = writable == 0;
    const GrantMap map = granter->grants().acquire(domain_.id(), ref, read_only, GrantUse::kCopy);
    pages[i] = page_of(map);
    if (map.status == GNTST_okay) held_.push_back({granter, ref, read_only});
  }
}

void GrantDevice::let_go() {
  for (const Held& held : held_) held.granter->grants().release(held.ref, held.read_only);
  held_.clear();
}

}  // namespace ringside::sim::dropin
