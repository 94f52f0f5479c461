#include "protocols/xeniface/map_region.hpp"

#include <atomic>

namespace ringside::xeniface {

Status MapRegion::start(platform::Platform& platform, xenbus::ForeignGrants& foreign,
                        Caller& caller, xenbus::DomainId peer,
                        std::span<const xenbus::GrantRef> references, xenbus::Access access) {
  if (references.size() > xenbus::kMaxForeignPages) return Status::kNoResources;
  auto pages = platform::Array<platform::Page>::create(platform, references.size());
  if (!pages) return pages.status();
  auto map = foreign.map(peer, references, access);
  if (!map) return map.status();
  map_ = *std::move(map);
  for (uint32_t i = 0; i < pages->size(); ++i) (*pages)[i].address = map_->page(i);
  auto mapping = caller.map(pages->span(), access);
  if (!mapping) return mapping.status();
  mapping_ = *std::move(mapping);
  return Status::kOk;
}

bool MapRegion::covers(UserAddress address, uint32_t pages) const {
  const UserAddress first = mapping_->address();
  return address - first < map_->count() * UserAddress{platform::kPageSize} ||
         first - address < pages * UserAddress{platform::kPageSize};
}

void MapRegion::clear_byte(uint32_t offset) {
  std::byte* at = map_->page(offset / platform::kPageSize) + offset % platform::kPageSize;
  std::atomic_ref<std::byte>(*at).store(std::byte{0}, std::memory_order_release);
}

}  // namespace ringside::xeniface
