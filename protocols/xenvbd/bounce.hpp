#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "protocols/platform/platform.hpp"
#include "protocols/xenvbd/slots.hpp"

namespace ringside::xenvbd {

/// Pages through which data goes that the ring can't name in place.
class BouncePool {
 public:
  static constexpr uint32_t kPages = 32;

  explicit BouncePool(platform::Platform& platform) : platform_(platform) {}
  ~BouncePool();
  BouncePool(const BouncePool&) = delete;
  BouncePool& operator=(const BouncePool&) = delete;

  /// Allocates what is missing.
  Status prepare();
  /// kNoIndex when all are in use.
  uint16_t take();
  void give_back(uint16_t index);
  /// The page goes to somebody else; take() gets another in its place.
  void lose(uint16_t index);
  platform::Page page(uint16_t index) const { return pages_[index]; }
  std::span<std::byte> bytes(uint16_t index, size_t length) const {
    return {pages_[index].address, length};
  }

 private:
  platform::Platform& platform_;
  std::array<platform::Page, kPages> pages_{};
  std::array<uint16_t, kPages> free_{};
  uint32_t free_count_ = 0;
  bool listed_ = false;
};

}  // namespace ringside::xenvbd
