#include "sim/machine/frames.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <system_error>

namespace ringside::sim {

FrameStore::FrameStore(uint32_t frames)
    : frames_(frames), state_(std::make_unique<FrameState[]>(frames)) {
  file_ = memfd_create("ringside-frames", MFD_CLOEXEC);
  const size_t bytes = size_t{frames} * kPageSize;
  if (file_ < 0 || ftruncate(file_, static_cast<off_t>(bytes)) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot create the machine's memory");
  }
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

std::optional<MachineFrame> FrameStore::allocate(uint32_t count) {
  MachineFrame first = 0;
  bool used_before = false;
  {
    const std::lock_guard lock(mutex_);
    auto& runs = free_runs_[count];
    if (!runs.empty()) {
      first = runs.back();
      runs.pop_back();
      used_before = true;
    } else if (count <= frames_ - next_) {
      first = next_;
      next_ += count;
    } else {
      return std::nullopt;
    }
    used_ += count;
  }
  // Fresh memory of the file reads as zeroes and is left untouched.
  if (used_before) std::memset(address(first), 0, size_t{count} * kPageSize);
  for (uint32_t i = 0; i < count; ++i) state_[first + i].released.store(false);
  return first;
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
