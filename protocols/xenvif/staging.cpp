#include "protocols/xenvif/staging.hpp"

namespace ringside::xenvif {

Status Staging::prepare(platform::Platform& platform, const Connection& connection,
                        unsigned pages) {
  auto entries = platform::Array<Entry>::create(platform, pages);
  if (!entries) return entries.status();
  pages_ = *std::move(entries);
  for (Entry& entry : pages_) {
    auto page = platform.allocate_page();
    if (!page) return page.status();
    entry.page = *page;
    auto ref = connection.grants->permit(connection.peer, page->frame, xenbus::Access::kReadOnly);
    if (!ref) return ref.status();
    entry.ref = *ref;
    entry.granted = true;
  }
  return Status::kOk;
}

void Staging::release(platform::Platform& platform, xenbus::GrantCache& grants) {
  for (Entry& entry : pages_) {
    if (entry.granted && grants.revoke(entry.ref) != Status::kOk) {
      grants.park(entry.ref, entry.page);
    } else if (entry.page) {
      platform.release_page(entry.page);
    }
    entry = Entry{};
  }
}

}  // namespace ringside::xenvif
