#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <type_traits>

namespace ringside::ring {

/// Shared memory as this machine has it: every access is one atomic access of plain memory.
///
/// The policy is a type parameter of the rings so that a test can put a modelled, weaker
/// memory in its place. Words are naturally aligned.
class HardwareMemory {
 public:
  uint32_t load(const std::byte* at) const { return __atomic_load_n(word(at), __ATOMIC_RELAXED); }
  /// Later accesses of this CPU stay behind it.
  uint32_t load_acquire(const std::byte* at) const {
    return __atomic_load_n(word(at), __ATOMIC_ACQUIRE);
  }
  void store(std::byte* at, uint32_t value) const {
    __atomic_store_n(word(at), value, __ATOMIC_RELAXED);
  }
  /// Earlier accesses of this CPU stay before it.
  void store_release(std::byte* at, uint32_t value) const {
    __atomic_store_n(word(at), value, __ATOMIC_RELEASE);
  }
  /// Orders everything before it against everything behind it, stores against loads too.
  void full_barrier() const { std::atomic_thread_fence(std::memory_order_seq_cst); }

  /// The slot is read once; the compiler may not go back to the shared one. [RING-009]
  template <typename T>
  void copy_out(const std::byte* at, T& into) const {
    __builtin_memcpy(&into, at, sizeof(T));
    // From here on the copy may hold anything, so that only it can be looked at.
    asm volatile("" : "+m"(into));
  }
  template <typename T>
  void copy_in(std::byte* at, const T& value) const {
    // RING-014: padding need not be part of what an assignment copies.
    if constexpr (!std::has_unique_object_representations_v<T>) __builtin_memset(at, 0, sizeof(T));
    // An assignment, not a copy of bytes: fields that are still in registers go straight to the
    // slot, where a wide load behind their narrow stores to the stack would have to wait.
    ::new (static_cast<void*>(at)) T(value);
  }

 private:
  using Word [[gnu::may_alias]] = uint32_t;
  static const Word* word(const std::byte* at) { return reinterpret_cast<const Word*>(at); }
  static Word* word(std::byte* at) { return reinterpret_cast<Word*>(at); }
};

/// The only way to memory that a peer can write: fields by offset, each load a private copy.
///
/// Nothing in it is trusted and no pointer into it leaves. Offsets are of naturally aligned
/// words, or of slots that consist of such words; they are the owner's, never the peer's.
template <typename Memory = HardwareMemory>
class SharedView {
 public:
  constexpr SharedView() = default;
  explicit constexpr SharedView(std::span<std::byte> bytes, Memory memory = {})
      : base_(bytes.data()), size_(bytes.size()), memory_(memory) {}

  constexpr size_t size() const { return size_; }

  uint32_t load(size_t offset) const { return memory_.load(base_ + offset); }
  uint32_t load_acquire(size_t offset) const { return memory_.load_acquire(base_ + offset); }
  void store(size_t offset, uint32_t value) { memory_.store(base_ + offset, value); }
  void store_release(size_t offset, uint32_t value) {
    memory_.store_release(base_ + offset, value);
  }
  void full_barrier() { memory_.full_barrier(); }

  template <typename T>
  void copy_out(size_t offset, T& into) const {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(uint32_t) == 0);
    memory_.copy_out(base_ + offset, into);
  }
  template <typename T>
  void copy_in(size_t offset, const T& value) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(uint32_t) == 0);
    memory_.copy_in(base_ + offset, value);
  }

 private:
  std::byte* base_ = nullptr;
  size_t size_ = 0;
  [[no_unique_address]] Memory memory_{};
};

}  // namespace ringside::ring
