#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "protocols/platform/platform.hpp"

namespace ringside::sim {

using platform::kPageSize;

/// A machine frame number: an index into the machine's memory.
using MachineFrame = uint32_t;

/// The memory of a machine: one shared mapping of a memory file, so that frames can be seen
/// at further addresses (grant maps). Touched lazily. Thread-safe.
class FrameStore {
 public:
  explicit FrameStore(uint32_t frames);
  ~FrameStore();
  FrameStore(const FrameStore&) = delete;
  FrameStore& operator=(const FrameStore&) = delete;

  /// `count` consecutive zeroed frames, or nothing when all that nobody has reserved is used up.
  std::optional<MachineFrame> allocate(uint32_t count = 1);
  /// Gives back frames; one that is pinned is reused only after its last unpin().
  void release(MachineFrame first, uint32_t count = 1);

  /// Sets `count` frames aside, without saying which; false when there are not as many left.
  bool reserve(uint32_t count);
  void cancel_reservation(uint32_t count);
  /// Takes `count` consecutive zeroed frames of what was set aside; nothing when there is no
  /// such run.
  std::optional<MachineFrame> allocate_reserved(uint32_t count);
  /// Gives back frames, and sets as many aside.
  void release_reserved(MachineFrame first, uint32_t count);

  /// A grant map, or a copy under way, holds the frame.
  void pin(MachineFrame frame);
  void unpin(MachineFrame frame);
  uint32_t pins(MachineFrame frame) const;

  std::byte* address(MachineFrame frame) const { return base_ + size_t{frame} * kPageSize; }
  /// The frame that contains `address`, when it lies in the store.
  std::optional<MachineFrame> frame_of(const void* address) const;
  uint32_t frames() const { return frames_; }
  uint32_t used() const;
  /// Neither used nor set aside.
  uint32_t unreserved() const;
  /// The memory file, for further mappings.
  int file() const { return file_; }

 private:
  struct FrameState {
    std::atomic<uint32_t> pins{0};
    std::atomic<bool> released{false};
  };
  void recycle(MachineFrame first, uint32_t count);
  std::optional<MachineFrame> take(uint32_t count, bool reserved);
  uint32_t left() const;

  uint32_t frames_;
  int file_;
  std::byte* base_;
  std::unique_ptr<FrameState[]> state_;
  mutable std::mutex mutex_;
  MachineFrame next_ = 1;  // frame 0 stays unused: nobody's bug should find memory there
  uint32_t used_ = 0;
  uint32_t reserved_ = 0;
  std::map<uint32_t, std::vector<MachineFrame>> free_runs_;  // by length
};

}  // namespace ringside::sim
