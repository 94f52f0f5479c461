#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "protocols/platform/status.hpp"

namespace ringside::xenbus {

/// A field that both sides see, read once into a copy of our own.
inline uint32_t load_shared(uint32_t& shared) {
  return std::atomic_ref<uint32_t>(shared).load(std::memory_order_acquire);
}

inline void store_shared(uint32_t& shared, uint32_t value) {
  std::atomic_ref<uint32_t>(shared).store(value, std::memory_order_release);
}

/// One end of one ring of bytes: our own index is private, the peer's is believed only as far as
/// the ring is long. The size of the ring is a power of two.
class ByteRingEnd {
 public:
  constexpr ByteRingEnd() = default;
  /// Goes on where the shared index `own` says that this end is. [STORE-005, CONSOLE-001]
  ByteRingEnd(std::span<char> ring, uint32_t& own, uint32_t& peer)
      : ring_(ring), own_(&own), peer_(&peer), position_(load_shared(own)) {}

  /// The writer's end: bytes that the reader took not yet.
  Result<size_t> room() const { return span_of(position_ - load_shared(*peer_), true); }
  /// The reader's end: bytes that the writer has published.
  Result<size_t> available() const { return span_of(load_shared(*peer_) - position_, false); }

  /// Copies as much of `bytes` as there is room for and publishes it.
  Result<size_t> write(std::span<const std::byte> bytes) {
    const auto free = room();
    if (!free) return free.status();
    const size_t count = std::min(bytes.size(), *free);
    if (count == 0) return size_t{0};
    const size_t before_end = std::min(count, ring_.size() - offset());
    std::memcpy(&ring_[offset()], bytes.data(), before_end);
    std::memcpy(&ring_[0], bytes.data() + before_end, count - before_end);
    advance(count);
    return size_t{count};
  }

  /// Takes as many bytes as there are, up to `into`.
  Result<size_t> read(std::span<std::byte> into) {
    const auto filled = available();
    if (!filled) return filled.status();
    const size_t count = std::min(into.size(), *filled);
    if (count == 0) return size_t{0};
    const size_t before_end = std::min(count, ring_.size() - offset());
    std::memcpy(into.data(), &ring_[offset()], before_end);
    std::memcpy(into.data() + before_end, &ring_[0], count - before_end);
    advance(count);
    return size_t{count};
  }

  /// The peer is where we are.
  bool level() const { return load_shared(*peer_) == position_; }

 private:
  Result<size_t> span_of(uint32_t used, bool rest) const {
    if (used > ring_.size()) return Status::kPeerViolation;
    return rest ? ring_.size() - used : size_t{used};
  }
  size_t offset() const { return position_ & (ring_.size() - 1); }
  /// The index is published after the bytes it covers. [STORE-007, CONSOLE-002]
  void advance(size_t count) {
    position_ += static_cast<uint32_t>(count);
    store_shared(*own_, position_);
  }

  std::span<char> ring_;
  uint32_t* own_ = nullptr;
  uint32_t* peer_ = nullptr;
  uint32_t position_ = 0;
};

}  // namespace ringside::xenbus
