#include "protocols/xenvbd/indirect.hpp"

#include <algorithm>

namespace ringside::xenvbd {

// The owner has released the pages before: a granted page must not go back to the platform.
IndirectPool::~IndirectPool() { RINGSIDE_ASSERT(platform_, page_count_ == 0); }

Status IndirectPool::prepare(xenbus::GrantCache& grants, xenbus::DomainId peer,
                             xenbus::Access access, uint32_t max_segments) {
  max_segments_ = 0;
  if (max_segments <= kMaxDirectSegments) return Status::kOk;
  // BLKIF-IO-020: never more than the back end's limit, nor than a request can name pages for.
  const uint32_t segments = std::min(max_segments, kMaxIndirectSegments);
  pages_per_block_ = (segments + kSegmentsPerPage - 1) / kSegmentsPerPage;
  const uint32_t blocks = kMaxPages / pages_per_block_;
  while (page_count_ < blocks * pages_per_block_) {
    auto page = platform_.allocate_page();
    if (!page) return page.status();
    auto ref = grants.permit(peer, page->frame, access);
    if (!ref) {
      platform_.release_page(*page);
      return ref.status();
    }
    pages_[page_count_] = *page;
    refs_[page_count_++] = *ref;
  }
  free_count_ = 0;
  for (uint32_t i = 0; i < blocks; ++i) give_back(static_cast<uint16_t>(i));
  max_segments_ = segments;
  return Status::kOk;
}

void IndirectPool::release(xenbus::GrantCache& grants) {
  for (; page_count_ > 0; --page_count_) {
    const uint32_t i = page_count_ - 1;
    if (ok(grants.revoke(refs_[i]))) {
      platform_.release_page(pages_[i]);
    } else {
      grants.park(refs_[i], pages_[i]);
    }
  }
  free_count_ = 0;
  max_segments_ = 0;
}

uint16_t IndirectPool::take() { return free_count_ == 0 ? kNoIndex : free_[--free_count_]; }

void IndirectPool::give_back(uint16_t block) { free_[free_count_++] = block; }

void IndirectPool::put(uint16_t block, uint32_t index, const blkif_request_segment& segment) {
  const platform::Page page = pages_[block * pages_per_block_ + index / kSegmentsPerPage];
  ring::SharedView view({page.address, platform::kPageSize});
  view.copy_in(index % kSegmentsPerPage * sizeof(segment), segment);
}

}  // namespace ringside::xenvbd
