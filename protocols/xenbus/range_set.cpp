#include "protocols/xenbus/range_set.hpp"

#include <algorithm>

namespace ringside::xenbus {

Result<Owned<Ranges>> RangeSet::create(platform::Platform& platform) {
  auto box = platform::Box<RangeSet>::create(platform, platform);
  if (!box) return box.status();
  RangeSet* set = box->get();
  const Status status = set->start();
  if (!ok(status)) return status;
  set->self_ = *std::move(box);
  return Owned<Ranges>(set);
}

Status RangeSet::start() {
  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  return Status::kOk;
}

/// The first range that does not end before `number`.
size_t RangeSet::first_behind(uint64_t number) const {
  const Range* found =
      std::lower_bound(ranges_.begin(), ranges_.begin() + count_, number,
                       [](const Range& range, uint64_t value) { return range.last < value; });
  return static_cast<size_t>(found - ranges_.begin());
}

Status RangeSet::make_room(size_t more) {
  if (more <= ranges_.size() - count_) return Status::kOk;
  const size_t wanted = std::max({kFirstCapacity, 2 * ranges_.size(), count_ + more});
  auto larger = platform::Array<Range>::create(platform_, wanted);
  if (!larger) return larger.status();
  std::copy(ranges_.begin(), ranges_.begin() + count_, larger->begin());
  ranges_ = *std::move(larger);
  return Status::kOk;
}

void RangeSet::insert(size_t at, Range range) {
  std::copy_backward(ranges_.begin() + at, ranges_.begin() + count_, ranges_.begin() + count_ + 1);
  ranges_[at] = range;
  ++count_;
}

void RangeSet::remove(size_t at) {
  std::copy(ranges_.begin() + at + 1, ranges_.begin() + count_, ranges_.begin() + at);
  --count_;
}

Status RangeSet::put(uint64_t first, uint64_t count) {
  const uint64_t last = first + (count - 1);
  if (count == 0 || last < first) return Status::kInvalidArgument;
  const platform::LockGuard guard(*lock_);
  const size_t at = first_behind(first);
  if (at < count_ && ranges_[at].first <= last) return Status::kInvalidArgument;
  const bool joins_before = at > 0 && ranges_[at - 1].last + 1 == first;
  const bool joins_behind = at < count_ && last + 1 == ranges_[at].first;
  if (joins_before && joins_behind) {
    ranges_[at - 1].last = ranges_[at].last;
    remove(at);
  } else if (joins_before) {
    ranges_[at - 1].last = last;
  } else if (joins_behind) {
    ranges_[at].first = first;
  } else {
    if (const Status status = make_room(1); !ok(status)) return status;
    insert(at, {.first = first, .last = last});
  }
  size_ += count;
  return Status::kOk;
}

Result<uint64_t> RangeSet::pop(uint64_t count) {
  if (count == 0) return Status::kInvalidArgument;
  const platform::LockGuard guard(*lock_);
  for (size_t at = 0; at < count_; ++at) {
    Range& range = ranges_[at];
    if (range.last - range.first < count - 1) continue;
    const uint64_t first = range.first;
    if (range.last - first == count - 1) {
      remove(at);
    } else {
      range.first += count;
    }
    size_ -= count;
    return uint64_t{first};
  }
  return Status::kNoResources;
}

Status RangeSet::get(uint64_t first, uint64_t count) {
  const uint64_t last = first + (count - 1);
  if (count == 0 || last < first) return Status::kInvalidArgument;
  const platform::LockGuard guard(*lock_);
  const size_t at = first_behind(first);
  if (at == count_ || ranges_[at].first > first || ranges_[at].last < last) {
    return Status::kNotFound;
  }
  const Range whole = ranges_[at];
  const bool keeps_before = whole.first < first;
  const bool keeps_behind = last < whole.last;
  if (keeps_before && keeps_behind) {
    if (const Status status = make_room(1); !ok(status)) return status;
    ranges_[at].last = first - 1;
    insert(at + 1, {.first = last + 1, .last = whole.last});
  } else if (keeps_before) {
    ranges_[at].last = first - 1;
  } else if (keeps_behind) {
    ranges_[at].first = last + 1;
  } else {
    remove(at);
  }
  size_ -= count;
  return Status::kOk;
}

Status RangeSet::reserve(size_t more) {
  const platform::LockGuard guard(*lock_);
  return make_room(more);
}

size_t RangeSet::take(std::span<uint64_t> numbers) {
  const platform::LockGuard guard(*lock_);
  size_t taken = 0;
  size_t emptied = 0;
  while (taken < numbers.size() && emptied < count_) {
    Range& range = ranges_[emptied];
    numbers[taken++] = range.first;
    if (range.first == range.last) {
      ++emptied;
    } else {
      ++range.first;
    }
  }
  std::copy(ranges_.begin() + emptied, ranges_.begin() + count_, ranges_.begin());
  count_ -= emptied;
  size_ -= taken;
  return taken;
}

uint64_t RangeSet::size() const {
  const platform::LockGuard guard(*lock_);
  return size_;
}

size_t RangeSet::ranges() const {
  const platform::LockGuard guard(*lock_);
  return count_;
}

}  // namespace ringside::xenbus
