#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "protocols/xenvbd/scsi/cdb.hpp"

namespace ringside::xenvbd {

/// Data that a unit puts together for its initiator, zeros at first.
class Reply {
 public:
  static constexpr size_t kCapacity = 96;

  /// `size` zeros more.
  Reply& grow(size_t size) {
    size_ += size;
    return *this;
  }
  Reply& put(size_t at, uint64_t value, size_t bytes = 1) {
    store_big(std::span(bytes_).subspan(at, bytes), value);
    return *this;
  }
  /// `text`, filled up with blanks to `width`.
  Reply& text(size_t at, std::string_view text, size_t width) {
    std::memset(&bytes_[at], ' ', width);
    std::memcpy(&bytes_[at], text.data(), std::min(text.size(), width));
    return *this;
  }
  Reply& append(std::span<const std::byte> more) {
    std::memcpy(&bytes_[size_], more.data(), more.size());
    return grow(more.size());
  }

  size_t size() const { return size_; }
  std::span<const std::byte> view() const { return std::span(bytes_).first(size_); }

 private:
  std::array<std::byte, kCapacity> bytes_{};
  size_t size_ = 0;
};

}  // namespace ringside::xenvbd
