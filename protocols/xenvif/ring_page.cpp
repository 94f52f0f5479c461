#include "protocols/xenvif/ring_page.hpp"

namespace ringside::xenvif {

Status RingPage::prepare(platform::Platform& platform, const Connection& connection) {
  auto page = platform.allocate_page();
  if (!page) return page.status();
  page_ = *page;
  auto ref = connection.grants->permit(connection.peer, page_.frame, xenbus::Access::kReadWrite);
  if (!ref) return ref.status();
  ref_ = *ref;
  granted_ = true;
  return Status::kOk;
}

void RingPage::release(platform::Platform& platform, xenbus::GrantCache& grants) {
  if (granted_ && grants.revoke(ref_) != Status::kOk) {
    grants.park(ref_, page_);
  } else if (page_) {
    platform.release_page(page_);
  }
  granted_ = false;
  page_ = {};
}

}  // namespace ringside::xenvif
