#pragma once

#include <cstdint>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"

namespace ringside::xenbus {

/// XENBUS RANGE_SET: a set of 64-bit numbers kept as ranges, such as frame numbers without
/// memory. Neighbours merge. Any level, any CPU; an operation that fails changes nothing.
class RangeSet {
 public:
  explicit RangeSet(platform::Platform& platform) : platform_(platform) {}
  RangeSet(const RangeSet&) = delete;
  RangeSet& operator=(const RangeSet&) = delete;

  Status start();
  /// Adds [first, first + count). kInvalidArgument when it is empty, goes beyond 2^64, or
  /// overlaps what is there; kNoMemory.
  Status put(uint64_t first, uint64_t count);
  /// Takes `count` consecutive numbers out, the lowest there are. kNoResources when there are
  /// not as many in a row.
  Result<uint64_t> pop(uint64_t count);
  /// Takes [first, first + count) out. kNotFound unless all of it is there; kNoMemory, as it may
  /// leave one range more.
  Status get(uint64_t first, uint64_t count);

  /// Numbers in the set, and ranges they form.
  uint64_t size() const;
  size_t ranges() const;

 private:
  struct Range {
    uint64_t first = 0;
    uint64_t last = 0;  // inclusive: the highest number is one too
  };
  static constexpr size_t kFirstCapacity = 16;

  size_t first_behind(uint64_t number) const;
  Status make_room();
  void insert(size_t at, Range range);
  void remove(size_t at);

  platform::Platform& platform_;
  Owned<platform::Lock> lock_;  ///< guards all below
  platform::Array<Range> ranges_;
  size_t count_ = 0;
  uint64_t size_ = 0;
};

}  // namespace ringside::xenbus
