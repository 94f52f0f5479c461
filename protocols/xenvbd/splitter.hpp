#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocols/xenvbd/request.hpp"

namespace ringside::xenvbd {

/// The next stretch of a request that fits one ring segment.
struct Stretch {
  Position at;           ///< where it begins
  Position end;          ///< where the one after it begins
  uint32_t length = 0;   ///< bytes, a multiple of the disk's sector size; 0 at the end
  bool aligned = false;  ///< the peer can be given the client's page; else it must be bounced
};

/// Cuts `segments` at `at` for a disk of `sector_size`: as much of one page as is aligned, or
/// what must be gathered into a page until it is aligned again. Precondition: the segments
/// are within their pages and what is left of them is a multiple of sector_size.
/// [BLKIF-IO-036]
Stretch next_stretch(std::span<const Segment> segments, Position at, uint32_t sector_size);

/// Copies between the stretch of `length` bytes that begins at `at` and a bounce page.
void gather(std::span<const Segment> segments, Position at, std::span<std::byte> page);
void scatter(std::span<const Segment> segments, Position at, std::span<const std::byte> page);

}  // namespace ringside::xenvbd
