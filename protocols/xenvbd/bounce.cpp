#include "protocols/xenvbd/bounce.hpp"

#include <utility>

namespace ringside::xenvbd {

BouncePool::~BouncePool() {
  for (const Entry& entry : entries_) {
    RINGSIDE_ASSERT(platform_, !entry.kept);
    if (entry.page) platform_.release_page(entry.page);
  }
}

Status BouncePool::prepare() {
  if (Status status = set_limit(kReserve); !ok(status)) return status;
  while (pages_ < kReserve) {
    const uint16_t index = pop(bare_);
    auto fresh = platform_.allocate_page();
    if (!fresh) {
      push(bare_, index);
      return fresh.status();
    }
    entries_[index].page = *fresh;
    ++pages_;
    give_back(index);
  }
  return Status::kOk;
}

Status BouncePool::set_limit(uint32_t limit) {
  const size_t former = entries_.size();
  if (limit > former) {
    auto entries = platform::Array<Entry>::create(platform_, limit);
    if (!entries) return entries.status();
    // Pages in use keep their place.
    for (size_t i = 0; i < former; ++i) (*entries)[i] = entries_[i];
    entries_ = *std::move(entries);
    for (size_t i = limit; i > former; --i) push(bare_, static_cast<uint16_t>(i - 1));
  }
  limit_ = limit;
  return Status::kOk;
}

uint16_t BouncePool::take() {
  if (free_ != kNoIndex) return pop(free_);
  if (bare_ == kNoIndex || pages_ >= limit_) return kNoIndex;
  auto fresh = platform_.allocate_page();
  if (!fresh) return kNoIndex;
  const uint16_t index = pop(bare_);
  entries_[index].page = *fresh;
  ++pages_;
  return index;
}

// BLKIF-IO-023: last in, first out: a back end that keeps few of the grants keeps the right ones.
void BouncePool::give_back(uint16_t index) { push(free_, index); }

void BouncePool::lose(uint16_t index) {
  entries_[index].page = {};
  --pages_;
  push(bare_, index);
}

Result<xenbus::GrantRef> BouncePool::keep(uint16_t index, xenbus::GrantCache& grants,
                                          xenbus::DomainId peer) {
  Entry& entry = entries_[index];
  if (entry.kept) return xenbus::GrantRef{entry.ref};
  // BLKIF-IO-023: for writing too, whatever it is used for first.
  const auto ref = grants.permit(peer, entry.page.frame, xenbus::Access::kReadWrite);
  if (!ref) return ref.status();
  entry.ref = *ref;
  entry.kept = true;
  return xenbus::GrantRef{entry.ref};
}

void BouncePool::release(xenbus::GrantCache& grants) {
  for (uint16_t index = std::exchange(free_, kNoIndex); index != kNoIndex;) {
    Entry& entry = entries_[index];
    const uint16_t next = entry.next;
    if (std::exchange(entry.kept, false) && !ok(grants.revoke(entry.ref))) {
      grants.park(entry.ref, entry.page);
      lose(index);
    } else if (index < kReserve) {
      give_back(index);
    } else {
      platform_.release_page(entry.page);
      lose(index);
    }
    index = next;
  }
}

void BouncePool::push(uint16_t& list, uint16_t index) {
  entries_[index].next = list;
  list = index;
}

uint16_t BouncePool::pop(uint16_t& list) {
  const uint16_t index = list;
  list = entries_[index].next;
  return index;
}

}  // namespace ringside::xenvbd
