#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

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

  /// Each word is read once; a compiler may not go back to the shared one. [RING-009]
  template <typename T>
  T copy_out(const std::byte* at) const {
    T value;
    load_words(at, value, WordIndices<T>());
    return value;
  }
  template <typename T>
  void copy_in(std::byte* at, const T& value) const {
    store_words(at, value, WordIndices<T>());
  }

 private:
  using Word [[gnu::may_alias]] = uint32_t;
  /// The widest word that T consists of and that this CPU moves at once.
  template <typename T>
  using WordOf = std::conditional_t<sizeof(T) % sizeof(size_t) == 0, size_t, uint32_t>;
  template <typename T>
  using Shared [[gnu::may_alias]] = WordOf<T>;

  template <typename T>
  using WordIndices = std::make_index_sequence<sizeof(T) / sizeof(WordOf<T>)>;

  // Word by word without a loop or an array between: a wide load from the stack that follows
  // narrow stores to it costs more than all the rest of a slot.
  template <typename T, size_t... kIndex>
  static void load_words(const std::byte* at, T& value, std::index_sequence<kIndex...>) {
    const auto load = [at, &value](size_t index) {
      const WordOf<T> word =
          __atomic_load_n(reinterpret_cast<const Shared<T>*>(at) + index, __ATOMIC_RELAXED);
      __builtin_memcpy(reinterpret_cast<std::byte*>(&value) + index * sizeof(word), &word,
                       sizeof(word));
    };
    (load(kIndex), ...);
  }
  template <typename T, size_t... kIndex>
  static void store_words(std::byte* at, const T& value, std::index_sequence<kIndex...>) {
    const auto store = [at, &value](size_t index) {
      WordOf<T> word;
      __builtin_memcpy(&word, reinterpret_cast<const std::byte*>(&value) + index * sizeof(word),
                       sizeof(word));
      __atomic_store_n(reinterpret_cast<Shared<T>*>(at) + index, word, __ATOMIC_RELAXED);
    };
    (store(kIndex), ...);
  }

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
  T copy_out(size_t offset) const {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(uint32_t) == 0);
    return memory_.template copy_out<T>(base_ + offset);
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
