#include "protocols/xenvbd/bounce.hpp"

namespace ringside::xenvbd {

BouncePool::~BouncePool() {
  for (const platform::Page page : pages_) {
    if (page) platform_.release_page(page);
  }
}

Status BouncePool::prepare() {
  for (platform::Page& page : pages_) {
    if (page) continue;
    auto fresh = platform_.allocate_page();
    if (!fresh) return fresh.status();
    page = *fresh;
  }
  for (uint16_t i = 0; i < kPages && !listed_; ++i) give_back(i);
  listed_ = true;
  return Status::kOk;
}

uint16_t BouncePool::take() {
  if (free_count_ == 0) return kNoIndex;
  const uint16_t index = free_[free_count_ - 1];
  if (!pages_[index]) {
    auto fresh = platform_.allocate_page();
    if (!fresh) return kNoIndex;
    pages_[index] = *fresh;
  }
  --free_count_;
  return index;
}

void BouncePool::give_back(uint16_t index) { free_[free_count_++] = index; }

void BouncePool::lose(uint16_t index) {
  pages_[index] = {};
  give_back(index);
}

}  // namespace ringside::xenvbd
