#pragma once

#include <array>
#include <cstdint>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"
#include "protocols/xenvbd/slots.hpp"
#include "protocols/xenvbd/wire.hpp"

namespace ringside::xenvbd {

/// Pages of segments for indirect requests, granted for as long as the connection lasts; one
/// block of them serves one request. [BLKIF-IO-020, BLKIF-IO-022]
class IndirectPool {
 public:
  static constexpr uint32_t kMaxPages = 32;

  explicit IndirectPool(platform::Platform& platform) : platform_(platform) {}
  ~IndirectPool();
  IndirectPool(const IndirectPool&) = delete;
  IndirectPool& operator=(const IndirectPool&) = delete;

  /// Blocks for requests of up to `max_segments`; none when that is no gain over a direct one.
  Status prepare(xenbus::GrantCache& grants, xenbus::DomainId peer, xenbus::Access access,
                 uint32_t max_segments);
  /// Revokes and frees; what the peer still maps goes to the bus.
  void release(xenbus::GrantCache& grants);

  /// Segments that a block's request can have; 0 when there are no blocks.
  uint32_t max_segments() const { return max_segments_; }
  /// kNoIndex when all are in use, or there are none.
  uint16_t take();
  void give_back(uint16_t block);

  void put(uint16_t block, uint32_t index, const blkif_request_segment& segment);
  xenbus::GrantRef ref(uint16_t block, uint32_t page) const {
    return refs_[block * pages_per_block_ + page];
  }

 private:
  platform::Platform& platform_;
  std::array<platform::Page, kMaxPages> pages_{};
  std::array<xenbus::GrantRef, kMaxPages> refs_{};
  std::array<uint16_t, kMaxPages> free_{};
  uint32_t page_count_ = 0;
  uint32_t free_count_ = 0;
  uint32_t pages_per_block_ = 1;
  uint32_t max_segments_ = 0;
};

}  // namespace ringside::xenvbd
