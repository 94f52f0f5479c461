#include "protocols/xeniface/grant_region.hpp"

#include <atomic>

namespace ringside::xeniface {

GrantRegion::~GrantRegion() {
  mapping_.reset();  // the caller loses sight of the pages before anybody else gets them
  if (!own_pages_) return;
  for (const platform::Page& page : pages_) {
    if (page) platform_.release_page(page);
  }
}

Status GrantRegion::start(const xenbus::Services& services, Caller& caller, const Config& config) {
  notification = config.notification;
  // The references first: a count that can't be had costs no memory then.
  auto cache = services.grants.create_cache("xeniface", config.pages, config.pages);
  if (!cache) {
    const bool too_many = cache.status() == Status::kInvalidArgument;
    return too_many ? Status::kNoResources : cache.status();
  }
  cache_ = *std::move(cache);
  auto pages = platform::Array<platform::Page>::create(platform_, config.pages);
  if (!pages) return pages.status();
  auto references = platform::Array<xenbus::GrantRef>::create(platform_, config.pages);
  if (!references) return references.status();
  auto live = platform::Array<bool>::create(platform_, config.pages);
  if (!live) return live.status();
  pages_ = *std::move(pages);
  references_ = *std::move(references);
  live_ = *std::move(live);

  own_pages_ = config.address == 0;
  if (own_pages_) {
    for (platform::Page& page : pages_) {
      const auto fresh = platform_.allocate_page();
      if (!fresh) return fresh.status();
      page = *fresh;
    }
  }
  // IFACE-035: the byte of the notification is written here, so that a caller who may only read
  // a page of its own must not name one there.
  const bool written = config.access == xenbus::Access::kReadWrite || notification.byte;
  auto mapping = own_pages_
                     ? caller.map(pages_.span(), xenbus::Access::kReadWrite)
                     : caller.pin(config.address, pages_.span(),
                                  written ? xenbus::Access::kReadWrite : xenbus::Access::kReadOnly);
  if (!mapping) return mapping.status();
  mapping_ = *std::move(mapping);

  for (size_t i = 0; i < pages_.size(); ++i) {
    const auto reference = cache_->permit(config.peer, pages_[i].frame, config.access);
    if (!reference) return reference.status();
    references_[i] = *reference;
    live_[i] = true;
  }
  return Status::kOk;
}

bool GrantRegion::provides(UserAddress address, uint32_t pages) const {
  if (!own_pages_ || !mapping_) return false;
  const UserAddress first = mapping_->address();
  return address - first < pages_.size() * platform::kPageSize ||
         first - address < pages * UserAddress{platform::kPageSize};
}

void GrantRegion::clear_byte(uint32_t offset) {
  std::byte* at = pages_[offset / platform::kPageSize].address + offset % platform::kPageSize;
  std::atomic_ref<std::byte>(*at).store(std::byte{0}, std::memory_order_release);
}

Status GrantRegion::end() {
  bool busy = false;
  for (size_t i = 0; i < live_.size(); ++i) {
    if (!live_[i]) continue;
    // IFACE-031: what the peer still maps stays granted.
    if (ok(cache_->revoke(references_[i]))) {
      live_[i] = false;
    } else {
      busy = true;
    }
  }
  return busy ? Status::kBusy : Status::kOk;
}

bool GrantRegion::abandon() {
  if (ok(end())) return true;
  if (!own_pages_) return false;
  mapping_.reset();  // the bus may free a page as soon as it has it
  for (size_t i = 0; i < live_.size(); ++i) {
    if (!live_[i]) continue;
    // IFACE-032: neither the caller nor anybody else gets the page before the peer lets go.
    cache_->park(references_[i], pages_[i]);
    pages_[i] = {};
    live_[i] = false;
  }
  return true;
}

void GrantRegion::lose() { mapping_->keep(); }

}  // namespace ringside::xeniface
