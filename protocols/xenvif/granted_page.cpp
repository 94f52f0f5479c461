#include "protocols/xenvif/granted_page.hpp"

namespace ringside::xenvif {

Status GrantedPage::prepare(platform::Platform& platform, xenbus::GrantCache& grants,
                            xenbus::DomainId peer) {
  auto page = platform.allocate_page();
  if (!page) return page.status();
  page_ = *page;
  auto ref = grants.permit(peer, page_.frame, xenbus::Access::kReadWrite);
  if (!ref) return ref.status();
  ref_ = *ref;
  granted_ = true;
  return Status::kOk;
}

void GrantedPage::release(platform::Platform& platform, xenbus::GrantCache& grants) {
  if (granted_ && grants.revoke(ref_) != Status::kOk) {
    grants.park(ref_, page_);
  } else if (page_) {
    platform.release_page(page_);
  }
  granted_ = false;
  page_ = {};
}

}  // namespace ringside::xenvif
