#include "protocols/xenbus/balloon.hpp"

#include <algorithm>
#include <utility>

#include "protocols/platform/line.hpp"

namespace ringside::xenbus {

Status PageBalloon::start() {
  auto batch = platform::Array<platform::Frame>::create(platform_, kBatch);
  if (!batch) return batch.status();
  batch_ = *std::move(batch);
  return frames_.start();
}

PageBalloon::~PageBalloon() {
  while (size() > 0) {
    const auto back = deflate(size());
    if (!back || *back == 0) break;
  }
  if (size() == 0) return;
  platform::Line line;
  line.text("pages that Xen does not give back: ").number(size());
  platform_.log(platform::LogLevel::kError, line.view());
}

void PageBalloon::on_suspend_over(Delegate over) {
  suspender_.forget_hold();
  over_ = over;
}

Status PageBalloon::adjust(uint64_t pages) {
  if (pages > UINT32_MAX) return Status::kInvalidArgument;
  if (adjusting_.exchange(true)) return Status::kBusy;
  Status status = Status::kBusy;
  // MEMORY-006: either the domain is being suspended or pages come and go, never both.
  if (suspender_.hold_off(over_)) {
    status = go_on(pages);
    suspender_.let_go();
  }
  adjusting_.store(false);
  return status;
}

Status PageBalloon::go_on(uint64_t pages) {
  for (unsigned batch = 0; batch < kBatchesInOne && size() != pages; ++batch) {
    // A suspend that waits for its turn gets it after this batch.
    if (suspender_.busy()) return Status::kAgain;
    const auto moved = size() < pages ? inflate(pages - size()) : deflate(size() - pages);
    if (!moved) return moved.status();
    // MEMORY-003: what was achieved stays; the rest is for later.
    if (*moved == 0) return Status::kNoMemory;
  }
  return size() == pages ? Status::kOk : Status::kAgain;
}

Result<size_t> PageBalloon::inflate(uint64_t pages) {
  // MEMORY-004: the guest's own needs come first.
  if (platform_.low_on_memory()) return Status::kNoMemory;
  const auto wanted = static_cast<size_t>(std::min<uint64_t>(pages, kBatch));
  // Nothing may fail for want of memory once Xen has the pages.
  if (const Status room = frames_.reserve(wanted); !ok(room)) return room;
  const auto taken = platform_.take_frames(batch_.span().first(wanted));
  if (!taken) return taken.status();
  const auto frames = batch_.span().first(*taken);
  std::sort(frames.begin(), frames.end());
  const auto given = xen_.give_to_xen(frames);
  const size_t done = given ? *given : 0;
  remember(frames.first(done));
  size_.fetch_add(static_cast<uint32_t>(done));
  // MEMORY-002: those that Xen did not take are the guest's still.
  if (done < frames.size()) platform_.give_frames(frames.subspan(done));
  return given;
}

Result<size_t> PageBalloon::deflate(uint64_t pages) {
  const auto wanted = static_cast<size_t>(std::min<uint64_t>(pages, kBatch));
  const auto frames = batch_.span().first(frames_.take(batch_.span().first(wanted)));
  const auto populated = xen_.populate(frames);
  const size_t done = populated ? *populated : 0;
  // MEMORY-002: only these have memory again.
  if (done > 0) platform_.give_frames(frames.first(done));
  size_.fetch_sub(static_cast<uint32_t>(done));
  remember(frames.subspan(done));
  return populated;
}

/// Sorted frames, the highest first, in as few pieces as they form.
void PageBalloon::remember(std::span<const platform::Frame> frames) {
  size_t end = frames.size();
  while (end > 0) {
    size_t first = end - 1;
    while (first > 0 && frames[first - 1] + 1 == frames[first]) --first;
    RINGSIDE_ASSERT(platform_, ok(frames_.put(frames[first], end - first)));
    end = first;
  }
}

}  // namespace ringside::xenbus
