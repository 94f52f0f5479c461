#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocols/xenvif/checksum.hpp"
#include "protocols/xenvif/packet.hpp"

namespace ringside::xenvif {

/// Walks the bytes of a packet's fragments from front to back.
class Cursor {
 public:
  constexpr Cursor() = default;
  explicit Cursor(std::span<const Fragment> fragments) : fragments_(fragments) {}

  /// The next run of up to `limit` bytes that lie together; length 0 at the end.
  Fragment next(uint32_t limit);
  void skip(uint32_t bytes);
  void copy(std::span<std::byte> to);
  void sum(uint32_t bytes, ChecksumSum& sum);
  /// How many runs, each inside one page, the bytes from here on are.
  unsigned runs() const;

 private:
  std::span<const Fragment> fragments_;
  size_t index_ = 0;
  uint16_t offset_ = 0;  ///< into fragments_[index_]
};

}  // namespace ringside::xenvif
