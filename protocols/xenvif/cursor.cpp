#include "protocols/xenvif/cursor.hpp"

#include <algorithm>
#include <cstring>

namespace ringside::xenvif {

Fragment Cursor::next(uint32_t limit) {
  while (index_ < fragments_.size() && offset_ == fragments_[index_].length) {
    ++index_;
    offset_ = 0;
  }
  if (index_ == fragments_.size() || limit == 0) return {};
  const Fragment& whole = fragments_[index_];
  const auto left = static_cast<uint32_t>(whole.length - offset_);
  const auto length = static_cast<uint16_t>(std::min(left, limit));
  const Fragment run{whole.address + offset_, whole.frame,
                     static_cast<uint16_t>(whole.offset + offset_), length};
  offset_ = static_cast<uint16_t>(offset_ + length);
  return run;
}

void Cursor::skip(uint32_t bytes) {
  while (bytes > 0) {
    const uint16_t length = next(bytes).length;
    if (length == 0) return;
    bytes -= length;
  }
}

void Cursor::copy(std::span<std::byte> to) {
  while (!to.empty()) {
    const Fragment run = next(static_cast<uint32_t>(to.size()));
    if (run.length == 0) return;
    std::memcpy(to.data(), run.address, run.length);
    to = to.subspan(run.length);
  }
}

void Cursor::sum(uint32_t bytes, ChecksumSum& sum) {
  while (bytes > 0) {
    const Fragment run = next(bytes);
    if (run.length == 0) return;
    sum.add({run.address, run.length});
    bytes -= run.length;
  }
}

unsigned Cursor::runs() const {
  Cursor rest = *this;
  unsigned count = 0;
  while (rest.next(platform::kPageSize).length != 0) ++count;
  return count;
}

}  // namespace ringside::xenvif
