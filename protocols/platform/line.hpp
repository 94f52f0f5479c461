#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace ringside::platform {

/// One line of text put together without a heap; what does not fit is cut off.
class Line {
 public:
  Line& text(std::string_view more) {
    const size_t length = std::min(more.size(), storage_.size() - length_);
    std::memcpy(&storage_[length_], more.data(), length);
    length_ += length;
    return *this;
  }
  Line& number(uint64_t value) {
    std::array<char, 20> digits;
    const char* end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    return text({digits.data(), static_cast<size_t>(end - digits.data())});
  }
  std::string_view view() const { return {storage_.data(), length_}; }

 private:
  std::array<char, 160> storage_;
  size_t length_ = 0;
};

}  // namespace ringside::platform
