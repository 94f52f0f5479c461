#pragma once

#include <cstdint>
#include <optional>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"
#include "protocols/xenvbd/request.hpp"

namespace ringside::xenvbd {

inline constexpr uint16_t kNoIndex = 0xffff;

/// One granted stretch of a ring request: whole sectors within one page.
struct Piece {
  xenbus::GrantRef ref = 0;
  uint16_t next = kNoIndex;
  uint16_t bounce = kNoIndex;  ///< the bounce page in use, if any
  uint16_t length = 0;         ///< bytes
  uint8_t first_sector = 0;
  uint8_t last_sector = 0;
  bool kept = false;  ///< `ref` is the bounce page's own and outlives the request
  Position at;        ///< where in the request's segments its bytes are
};

/// One ring request that the peer has, or whose memory it still holds.
struct Slot {
  enum class State : uint8_t { kFree, kSent, kLingering };
  State state = State::kFree;
  uint8_t operation = 0;  ///< BLKIF_OP_*
  Status status = Status::kOk;
  uint16_t first_piece = kNoIndex;
  uint16_t last_piece = kNoIndex;
  uint16_t indirect = kNoIndex;  ///< the block of indirect pages in use, if any
  uint16_t next_free = kNoIndex;
  uint32_t place = 0;  ///< its index on the ring
  uint64_t generation = 0;
  Request* request = nullptr;
};

/// The ring requests under way. An id on the ring is a slot's index and how often the slot
/// was used: what a peer makes up, repeats or remembers finds nothing. [BLKIF-IO-033]
class SlotTable {
 public:
  static constexpr unsigned kIndexBits = 16;

  Status prepare(platform::Platform& platform, uint32_t count);

  uint32_t size() const { return static_cast<uint32_t>(slots_.size()); }
  Slot& operator[](uint32_t index) { return slots_[index]; }

  /// A free slot's index, or nothing. Its id is new.
  std::optional<uint32_t> take();
  void give_back(uint32_t index);
  uint64_t id(uint32_t index) const { return slots_[index].generation << kIndexBits | index; }
  /// The sent slot with this id, or nothing.
  std::optional<uint32_t> find(uint64_t id) const;

 private:
  platform::Array<Slot> slots_;
  uint16_t free_ = kNoIndex;
};

/// The pieces of all slots of a queue.
class PiecePool {
 public:
  Status prepare(platform::Platform& platform, uint32_t count);

  Piece& operator[](uint32_t index) { return pieces_[index]; }
  /// kNoIndex when all are in use.
  uint16_t take();
  void give_back(uint16_t index);

 private:
  platform::Array<Piece> pieces_;
  uint16_t free_ = kNoIndex;
};

}  // namespace ringside::xenvbd
