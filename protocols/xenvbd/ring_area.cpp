#include "protocols/xenvbd/ring_area.hpp"

namespace ringside::xenvbd {

Status RingArea::allocate(platform::Platform& platform, uint32_t order) {
  auto pages = platform.allocate_pages(1u << order);
  if (!pages) return pages.status();
  pages_ = *pages;
  return Status::kOk;
}

Status RingArea::permit(xenbus::GrantCache& grants, xenbus::DomainId peer) {
  while (granted_ < pages_.count) {
    auto ref = grants.permit(peer, pages_.frames[granted_], xenbus::Access::kReadWrite);
    if (!ref) return ref.status();
    refs_[granted_++] = *ref;
  }
  return Status::kOk;
}

Status RingArea::release(platform::Platform& platform, xenbus::GrantCache& grants) {
  for (; granted_ > 0; --granted_) {
    const Status status = grants.revoke(refs_[granted_ - 1]);
    if (!ok(status)) return status;
  }
  if (pages_.count > 0) platform.release_pages(pages_);
  pages_ = {};
  return Status::kOk;
}

}  // namespace ringside::xenvbd
