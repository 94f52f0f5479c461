#pragma once

#include <cstdint>
#include <span>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"
#include "protocols/xenvbd/slots.hpp"

namespace ringside::xenvbd {

/// Pages through which data goes that the ring can't, or must not, name in place.
///
/// What was given back last is taken first. A page may keep its grant from one request to the
/// next, for as long as the connection lasts. [BLKIF-IO-023]
class BouncePool {
 public:
  static constexpr uint32_t kReserve = 32;  ///< pages that are there before they are needed

  explicit BouncePool(platform::Platform& platform) : platform_(platform) {}
  ~BouncePool();
  BouncePool(const BouncePool&) = delete;
  BouncePool& operator=(const BouncePool&) = delete;

  /// Allocates the reserve.
  Status prepare();
  /// Lets the pool grow to `limit` pages; it stays as it was when there is no memory for that.
  Status set_limit(uint32_t limit);
  /// kNoIndex when all are in use and there can't be another.
  uint16_t take();
  void give_back(uint16_t index);
  /// The page goes to somebody else; take() gets another in its place.
  void lose(uint16_t index);

  /// The reference by which `peer` may read and write the page until release().
  Result<xenbus::GrantRef> keep(uint16_t index, xenbus::GrantCache& grants, xenbus::DomainId peer);
  /// Revokes the kept grants of pages not in use and frees what is not of the reserve; what the
  /// peer still maps goes to the bus.
  void release(xenbus::GrantCache& grants);

  platform::Page page(uint16_t index) const { return entries_[index].page; }
  std::span<std::byte> bytes(uint16_t index, size_t length) const {
    return {entries_[index].page.address, length};
  }

 private:
  struct Entry {
    platform::Page page;
    xenbus::GrantRef ref = 0;
    uint16_t next = kNoIndex;
    bool kept = false;  ///< `ref` is live
  };

  void push(uint16_t& list, uint16_t index);
  uint16_t pop(uint16_t& list);

  platform::Platform& platform_;
  platform::Array<Entry> entries_;
  uint16_t free_ = kNoIndex;  ///< those with a page
  uint16_t bare_ = kNoIndex;  ///< those without
  uint32_t pages_ = 0;
  uint32_t limit_ = 0;
};

}  // namespace ringside::xenvbd
