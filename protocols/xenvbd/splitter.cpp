#include "protocols/xenvbd/splitter.hpp"

#include <algorithm>
#include <cstring>

namespace ringside::xenvbd {
namespace {

using platform::kPageSize;

/// How much can be granted in place at `at`; 0 when it begins or ends askew.
uint32_t aligned_length(std::span<const Segment> segments, Position at, uint32_t sector_size) {
  const Segment& segment = segments[at.segment];
  if ((segment.offset + at.offset) % sector_size != 0) return 0;
  return (segment.length - at.offset) / sector_size * sector_size;
}

/// Moves `at` on by up to `bytes` within its segment; returns by how many.
uint32_t advance(std::span<const Segment> segments, Position& at, uint32_t bytes) {
  const uint32_t step = std::min(bytes, segments[at.segment].length - at.offset);
  at.offset += step;
  if (at.offset == segments[at.segment].length) at = {at.segment + 1, 0};
  return step;
}

}  // namespace

Stretch next_stretch(std::span<const Segment> segments, Position at, uint32_t sector_size) {
  Stretch stretch{.at = at, .end = at};
  if (at.segment >= segments.size()) return stretch;
  stretch.length = aligned_length(segments, at, sector_size);
  if (stretch.length > 0) {
    stretch.aligned = true;
    advance(segments, stretch.end, stretch.length);
    return stretch;
  }
  while (stretch.length < kPageSize && stretch.end.segment < segments.size()) {
    if (stretch.length > 0 && aligned_length(segments, stretch.end, sector_size) > 0) break;
    for (uint32_t left = sector_size; left > 0 && stretch.end.segment < segments.size();) {
      left -= advance(segments, stretch.end, left);
    }
    stretch.length += sector_size;
  }
  return stretch;
}

void gather(std::span<const Segment> segments, Position at, std::span<std::byte> page) {
  for (size_t done = 0; done < page.size();) {
    const Segment& segment = segments[at.segment];
    const std::byte* from = segment.page.address + segment.offset + at.offset;
    const uint32_t step = advance(segments, at, static_cast<uint32_t>(page.size() - done));
    std::memcpy(page.data() + done, from, step);
    done += step;
  }
}

void scatter(std::span<const Segment> segments, Position at, std::span<const std::byte> page) {
  for (size_t done = 0; done < page.size();) {
    const Segment& segment = segments[at.segment];
    std::byte* to = segment.page.address + segment.offset + at.offset;
    const uint32_t step = advance(segments, at, static_cast<uint32_t>(page.size() - done));
    std::memcpy(to, page.data() + done, step);
    done += step;
  }
}

}  // namespace ringside::xenvbd
