#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/interfaces/range_set.hpp"

namespace ringside::xenbus {

/// The ranges, sorted, in one array.
class RangeSet final : public Ranges {
 public:
  static Result<Owned<Ranges>> create(platform::Platform& platform);

  explicit RangeSet(platform::Platform& platform) : platform_(platform) {}

  Status start();
  Status put(uint64_t first, uint64_t count) override;
  Result<uint64_t> pop(uint64_t count) override;
  Status get(uint64_t first, uint64_t count) override;
  /// Makes room, so that `more` calls of put() can't fail for want of memory.
  Status reserve(size_t more);
  /// Takes the lowest numbers out, in ascending order; how many. To put them back, the highest
  /// first, can't fail for want of memory.
  size_t take(std::span<uint64_t> numbers);
  /// Of one that create() made.
  void destroy() override { const platform::Box<RangeSet> last = std::move(self_); }

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
  Status make_room(size_t more);
  void insert(size_t at, Range range);
  void remove(size_t at);

  platform::Platform& platform_;
  Owned<platform::Lock> lock_;  ///< guards all below
  platform::Array<Range> ranges_;
  size_t count_ = 0;
  uint64_t size_ = 0;
  platform::Box<RangeSet> self_;
};

}  // namespace ringside::xenbus
