#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocols/xenvbd/request.hpp"

namespace ringside::xenvbd {

/// The bytes that `fragments` hold.
uint64_t total_of(std::span<const Segment> fragments);

/// Copies `bytes` to the beginning of `fragments`, as many as fit; how many did.
size_t copy_to(std::span<const Segment> fragments, std::span<const std::byte> bytes);

/// Fills `bytes` from byte `offset` of `fragments`; how many there were.
size_t copy_from(std::span<const Segment> fragments, uint64_t offset, std::span<std::byte> bytes);

/// The fragments that hold the first `bytes` of `fragments`; the last of them is cut to fit.
/// Precondition: there are as many.
std::span<const Segment> cut(std::span<Segment> fragments, uint64_t bytes);

}  // namespace ringside::xenvbd
