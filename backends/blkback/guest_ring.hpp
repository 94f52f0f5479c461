#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "protocols/platform/status.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/ring/tap.hpp"

namespace ringside::backends {

/// A private copy of one request, whatever layout it came in.
struct GuestRequest {
  uint8_t operation = 0;  ///< BLKIF_OP_*, for an indirect request the one that it wraps
  bool indirect = false;
  uint8_t discard_flags = 0;
  uint16_t segment_count = 0;
  uint64_t id = 0;
  uint64_t sector = 0;   ///< units of 512 bytes
  uint64_t sectors = 0;  ///< discard only
  std::array<blkif_request_segment, BLKIF_MAX_SEGMENTS_PER_REQUEST> segments{};
  std::array<grant_ref_t, BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST> indirect_refs{};
};

struct GuestResponse {
  uint64_t id = 0;
  uint8_t operation = 0;
  int16_t status = 0;
};

/// The back end's side of a blkif ring in the layout that the front end asked for.
class GuestRing {
 public:
  /// `protocol` is an XEN_IO_PROTO_ABI_* name; empty means this host's. kNotSupported for an
  /// unknown one, kPeerViolation for a ring whose indices can't be. [BLKIF-NEG-005]
  static Result<std::unique_ptr<GuestRing>> create(std::string_view protocol,
                                                   std::span<std::byte> area, ring::Tap* tap);
  virtual ~GuestRing() = default;

  virtual Result<std::optional<GuestRequest>> take() = 0;
  virtual void put(const GuestResponse& response) = 0;
  [[nodiscard]] virtual bool publish() = 0;
  [[nodiscard]] virtual bool arm() = 0;
};

}  // namespace ringside::backends
