#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "sim/machine/frames.hpp"

namespace ringside::sim {

/// All memory of a domain that is gone, as an image of it keeps it.
///
/// The frames stay where they are, as what ran in the domain knows them by their addresses; they
/// are freed unless a domain takes them over.
struct SavedMemory {
  explicit SavedMemory(std::shared_ptr<FrameStore> store) : frames(std::move(store)) {}
  ~SavedMemory();
  SavedMemory(SavedMemory&&) = default;
  SavedMemory& operator=(SavedMemory&&) = delete;

  std::shared_ptr<FrameStore> frames;                    ///< null once taken over
  std::vector<std::pair<uint64_t, MachineFrame>> pages;  ///< by guest frame number
  std::vector<uint64_t> unbacked;                        ///< pages without a frame yet
  std::vector<uint64_t> spare;                           ///< those of them not in use, in order
  uint64_t memory_gfns = 0;
  uint32_t max_pages = 0;
  uint64_t next_gfn = 0;
  uint64_t next_hole = 0;
  std::vector<std::pair<uint64_t, uint32_t>> free_holes;
};

}  // namespace ringside::sim
