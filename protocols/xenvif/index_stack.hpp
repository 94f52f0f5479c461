#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ringside::xenvif {

/// The free ones of N numbered things; take() hands out the one put back last.
template <size_t N>
class IndexStack {
 public:
  IndexStack() { fill(); }
  void fill() {
    for (size_t i = 0; i < N; ++i) items_[i] = static_cast<uint16_t>(N - 1 - i);
    count_ = N;
  }
  size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  bool full() const { return count_ == N; }
  /// Precondition: !empty().
  uint16_t take() { return items_[--count_]; }
  /// Precondition: !full().
  void put(uint16_t index) { items_[count_++] = index; }

 private:
  std::array<uint16_t, N> items_;
  size_t count_ = 0;
};

}  // namespace ringside::xenvif
