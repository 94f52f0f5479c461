#include "sim/machine/frames.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <system_error>

namespace ringside::sim {

FrameStore::FrameStore(uint32_t frames)
    : frames_(frames), state_(std::make_unique<FrameState[]>(frames)) {
  file_ = memfd_create("ringside-frames", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  const size_t bytes = size_t{frames} * kPageSize;
  if (file_ < 0 || ftruncate(file_, static_cast<off_t>(bytes)) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot create the machine's memory");
  }
  // Other processes get the file (sim/dropin/): none shall make it shorter under our feet.
  fcntl(file_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file_, 0);
  if (base == MAP_FAILED) {
    throw std::system_error(errno, std::generic_category(), "cannot map the machine's memory");
  }
  base_ = static_cast<std::byte*>(base);
}

FrameStore::~FrameStore() {
  munmap(base_, size_t{frames_} * kPageSize);
  close(file_);
}

std::optional<MachineFrame> FrameStore::allocate(uint32_t count) { return take(count, false); }

std::optional<MachineFrame> FrameStore::allocate_reserved(uint32_t count) {
  return take(count, true);
}

std::optional<MachineFrame> FrameStore::take(uint32_t count, bool reserved) {
  MachineFrame first = 0;
  bool used_before = true;
  {
    const std::lock_guard lock(mutex_);
    if (count == 0 || count > (reserved ? reserved_ : left())) return std::nullopt;
    auto runs = free_runs_.find(count);
    if (runs == free_runs_.end() && count <= frames_ - next_) {
      first = next_;
      next_ += count;
      used_before = false;
    } else {
      // For want of one that fits, the shortest that is longer is cut.
      if (runs == free_runs_.end()) runs = free_runs_.upper_bound(count);
      if (runs == free_runs_.end()) return std::nullopt;
      const uint32_t length = runs->first;
      first = runs->second.back();
      runs->second.pop_back();
      if (runs->second.empty()) free_runs_.erase(runs);
      if (length > count) free_runs_[length - count].push_back(first + count);
    }
    used_ += count;
    if (reserved) reserved_ -= count;
  }
  // Fresh memory of the file reads as zeroes and is left untouched.
  if (used_before) std::memset(address(first), 0, size_t{count} * kPageSize);
  for (uint32_t i = 0; i < count; ++i) state_[first + i].released.store(false);
  return first;
}

bool FrameStore::reserve(uint32_t count) {
  const std::lock_guard lock(mutex_);
  if (count > left()) return false;
  reserved_ += count;
  return true;
}

void FrameStore::cancel_reservation(uint32_t count) {
  const std::lock_guard lock(mutex_);
  reserved_ -= count;
}

void FrameStore::release_reserved(MachineFrame first, uint32_t count) {
  {
    // Before they are free, or somebody else could have them.
    const std::lock_guard lock(mutex_);
    reserved_ += count;
  }
  release(first, count);
}

uint32_t FrameStore::left() const {
  const uint32_t taken = used_ + reserved_ + 1;  // and frame 0
  return taken < frames_ ? frames_ - taken : 0;
}

uint32_t FrameStore::unreserved() const {
  const std::lock_guard lock(mutex_);
  return left();
}

void FrameStore::release(MachineFrame first, uint32_t count) {
  bool pinned = false;
  for (uint32_t i = 0; i < count; ++i) {
    state_[first + i].released.store(true);
    pinned |= state_[first + i].pins.load() != 0;
  }
  if (!pinned) return recycle(first, count);
  for (uint32_t i = 0; i < count; ++i) {
    if (state_[first + i].pins.load() == 0 && state_[first + i].released.exchange(false)) {
      recycle(first + i, 1);
    }
  }
}

void FrameStore::recycle(MachineFrame first, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) state_[first + i].released.store(false);
  const std::lock_guard lock(mutex_);
  free_runs_[count].push_back(first);
  used_ -= count;
}

void FrameStore::pin(MachineFrame frame) { state_[frame].pins.fetch_add(1); }

void FrameStore::unpin(MachineFrame frame) {
  if (state_[frame].pins.fetch_sub(1) == 1 && state_[frame].released.exchange(false)) {
    recycle(frame, 1);
  }
}

uint32_t FrameStore::pins(MachineFrame frame) const { return state_[frame].pins.load(); }

std::optional<MachineFrame> FrameStore::frame_of(const void* address) const {
  const auto offset = reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(base_);
  if (offset >= size_t{frames_} * kPageSize) return std::nullopt;
  return static_cast<MachineFrame>(offset / kPageSize);
}

uint32_t FrameStore::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

}  // namespace ringside::sim
