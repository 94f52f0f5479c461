#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/platform/xen.hpp"
#include "protocols/ring/front_ring.hpp"

namespace ringside::xenvbd {

using Ring = ring::FrontRing<blkif_request_t, blkif_response_t>;

/// The layout that this build's structures have. Source: xen/io/protocols.h [BLKIF-NEG-005]
inline constexpr std::string_view kProtocol = XEN_IO_PROTO_ABI_NATIVE;

inline constexpr uint32_t kMaxDirectSegments = BLKIF_MAX_SEGMENTS_PER_REQUEST;
inline constexpr uint32_t kMaxIndirectPages = BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST;
inline constexpr uint32_t kSegmentsPerPage =
    static_cast<uint32_t>(ring::kRingPageSize / sizeof(blkif_request_segment));
inline constexpr uint32_t kMaxIndirectSegments = kMaxIndirectPages * kSegmentsPerPage;
inline constexpr uint32_t kMaxRingPageOrder = 4;

static_assert(sizeof(blkif_request_segment) == 8);
static_assert(sizeof(blkif_request_indirect_t) == 64);  // BLKIF-IO-021
static_assert(sizeof(blkif_request_t) == (sizeof(void*) == 8 ? 112 : 108));

}  // namespace ringside::xenvbd
