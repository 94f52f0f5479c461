#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <span>

#include "protocols/ring/layout.hpp"
#include "protocols/ring/shared.hpp"

namespace ringside::conformance {

/// Pages of a ring as the peer sees them: it writes where and what it likes.
class RingArea {
 public:
  explicit RingArea(size_t pages = 1)
      : size_(pages * ring::kRingPageSize),
        bytes_(static_cast<std::byte*>(::operator new(size_, kAlignment))) {
    std::memset(bytes_.get(), 0xee, size_);
  }

  std::span<std::byte> bytes() const { return {bytes_.get(), size_}; }
  uint32_t get(size_t offset) const {
    uint32_t value;
    std::memcpy(&value, bytes_.get() + offset, sizeof value);
    return value;
  }
  void set(size_t offset, uint32_t value) {
    std::memcpy(bytes_.get() + offset, &value, sizeof value);
  }
  template <typename T>
  T slot(uint32_t index, size_t slot_size) const {
    T value;
    std::memcpy(&value, bytes_.get() + ring::kHeaderSize + index * slot_size, sizeof value);
    return value;
  }
  template <typename T>
  void set_slot(uint32_t index, size_t slot_size, const T& value) {
    std::memcpy(bytes_.get() + ring::kHeaderSize + index * slot_size, &value, sizeof value);
  }

 private:
  static constexpr std::align_val_t kAlignment{ring::kRingPageSize};
  struct Delete {
    void operator()(std::byte* bytes) const { ::operator delete(bytes, kAlignment); }
  };

  size_t size_;
  std::unique_ptr<std::byte, Delete> bytes_;
};

/// What a ring did to its pages, by offset.
struct Accesses {
  const std::byte* base = nullptr;
  std::map<size_t, unsigned> loads;
  std::map<size_t, unsigned> stores;
};

/// A memory policy that counts, with a peer that writes nonsense over each word in the
/// moment in which it has been read. Accesses are one word each: see HardwareMemory.
class HostileMemory {
 public:
  HostileMemory() = default;
  explicit HostileMemory(Accesses& accesses) : accesses_(&accesses) {}

  uint32_t load(const std::byte* at) const {
    const uint32_t value = hardware_.load(at);
    ++accesses_->loads[offset(at)];
    if (offset(at) >= ring::kHeaderSize) hardware_.store(const_cast<std::byte*>(at), ~value);
    return value;
  }
  uint32_t load_acquire(const std::byte* at) const { return load(at); }
  void store(std::byte* at, uint32_t value) const {
    ++accesses_->stores[offset(at)];
    hardware_.store(at, value);
  }
  void store_release(std::byte* at, uint32_t value) const { store(at, value); }
  void full_barrier() const { hardware_.full_barrier(); }

  template <typename T>
  void copy_out(const std::byte* at, T& into) const {
    for (size_t i = 0; i < sizeof(T); i += sizeof(uint32_t)) {
      const uint32_t word = load(at + i);
      std::memcpy(reinterpret_cast<std::byte*>(&into) + i, &word, sizeof word);
    }
  }
  template <typename T>
  void copy_in(std::byte* at, const T& value) const {
    for (size_t i = 0; i < sizeof(T); i += sizeof(uint32_t)) {
      uint32_t word;
      std::memcpy(&word, reinterpret_cast<const std::byte*>(&value) + i, sizeof word);
      store(at + i, word);
    }
  }

 private:
  size_t offset(const std::byte* at) const { return static_cast<size_t>(at - accesses_->base); }

  ring::HardwareMemory hardware_;
  Accesses* accesses_ = nullptr;
};

}  // namespace ringside::conformance
