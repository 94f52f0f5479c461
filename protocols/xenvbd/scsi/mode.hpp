#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "protocols/platform/status.hpp"
#include "protocols/xenvbd/scsi/cdb.hpp"
#include "protocols/xenvbd/scsi/reply.hpp"
#include "protocols/xenvbd/scsi/sense.hpp"

namespace ringside::xenvbd {

/// What the mode pages tell of.
struct ModeState {
  uint64_t blocks = 0;
  uint32_t block_size = 512;
  bool write_protected = false;
  bool volatile_cache = false;  ///< the disk has one, and can be told to flush it
  bool write_through = false;   ///< the initiator wants no write left in it
  bool operator==(const ModeState&) const = default;
};

/// The longest parameter list that MODE SELECT takes: both headers' worth and every page.
inline constexpr size_t kMaxModeParameters = 64;

/// Answers MODE SENSE (6) or (10): the data in `reply`, or why there is none. [SCSI-050..052]
std::optional<Sense> mode_sense(const Cdb& cdb, const ModeState& state, Reply& reply);

/// Carries out MODE SELECT (6) or (10): all that `parameters` want in `state`, or nothing and
/// what is wrong with them. [SCSI-053, SCSI-054]
std::optional<Sense> mode_select(const Cdb& cdb, std::span<const std::byte> parameters,
                                 ModeState& state);

}  // namespace ringside::xenvbd
