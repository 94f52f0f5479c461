#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace ringside::backends {

/// Memory that also a file opened with O_DIRECT takes. Grows, and is used again.
class AlignedBuffer {
 public:
  static constexpr size_t kAlignment = 4096;

  /// The first `bytes` of it; what was there before is lost when it has to grow.
  std::span<std::byte> take(size_t bytes) {
    if (bytes > capacity_) {
      const size_t whole = (bytes + kAlignment - 1) / kAlignment * kAlignment;
      memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, whole)));
      capacity_ = memory_ ? whole : 0;
      if (!memory_) throw std::bad_alloc();
    }
    return {memory_.get(), bytes};
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };

  std::unique_ptr<std::byte, Free> memory_;
  size_t capacity_ = 0;
};

}  // namespace ringside::backends
