// The entry points of the thread sanitizer's run time, and the C library's mutex, as steps of an
// Interleaver. Source: compiler-rt, tsan_interface_atomic.h and tsan_interface.h (names and types).

#include <pthread.h>

#include <cstdint>
#include <unordered_set>

#include "conformance/stepped/interleaver.hpp"

namespace {

using ringside::conformance::Interleaver;
using Access = Interleaver::Access;

void step(const volatile void* at, Access access) {
  if (Interleaver* steps = Interleaver::current()) steps->access(at, access);
}

bool tears() {
  const Interleaver* steps = Interleaver::current();
  return steps != nullptr && steps->tears();
}

/// `change` of the value at `at`; what it was before.
template <typename T, typename Change>
T modify(volatile T* at, Change change) {
  if (!tears()) {
    step(at, Access::kWrite);
    const T before = *at;
    *at = change(before);
    return before;
  }
  step(at, Access::kRead);
  const T before = *at;
  step(at, Access::kWrite);
  *at = change(before);
  return before;
}

template <typename T>
int compare_exchange(volatile T* at, T* expected, T desired) {
  bool same = false;
  const T before = modify(at, [&](T seen) {
    same = seen == *expected;
    return same ? desired : seen;
  });
  if (!same) *expected = before;
  return same ? 1 : 0;
}

}  // namespace

extern "C" {

// NOLINTBEGIN: the names are the compiler's.
#define STEPPED_ATOMICS(bits)                                                                      \
  uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t* at, int) {              \
    step(at, Access::kRead);                                                                       \
    return *at;                                                                                    \
  }                                                                                                \
  void __tsan_atomic##bits##_store(volatile uint##bits##_t* at, uint##bits##_t value, int) {       \
    step(at, Access::kWrite);                                                                      \
    *at = value;                                                                                   \
  }                                                                                                \
  uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t* at, uint##bits##_t value, \
                                                int) {                                             \
    return modify(at, [&](uint##bits##_t) { return value; });                                      \
  }                                                                                                \
  uint##bits##_t __tsan_atomic##bits##_fetch_add(volatile uint##bits##_t* at,                      \
                                                 uint##bits##_t value, int) {                      \
    return modify(at,                                                                              \
                  [&](uint##bits##_t was) { return static_cast<uint##bits##_t>(was + value); });   \
  }                                                                                                \
  uint##bits##_t __tsan_atomic##bits##_fetch_sub(volatile uint##bits##_t* at,                      \
                                                 uint##bits##_t value, int) {                      \
    return modify(at,                                                                              \
                  [&](uint##bits##_t was) { return static_cast<uint##bits##_t>(was - value); });   \
  }                                                                                                \
  uint##bits##_t __tsan_atomic##bits##_fetch_and(volatile uint##bits##_t* at,                      \
                                                 uint##bits##_t value, int) {                      \
    return modify(at,                                                                              \
                  [&](uint##bits##_t was) { return static_cast<uint##bits##_t>(was & value); });   \
  }                                                                                                \
  uint##bits##_t __tsan_atomic##bits##_fetch_or(volatile uint##bits##_t* at, uint##bits##_t value, \
                                                int) {                                             \
    return modify(at,                                                                              \
                  [&](uint##bits##_t was) { return static_cast<uint##bits##_t>(was | value); });   \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_strong(                                               \
      volatile uint##bits##_t* at, uint##bits##_t* expected, uint##bits##_t desired, int, int) {   \
    return compare_exchange(at, expected, desired);                                                \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_weak(                                                 \
      volatile uint##bits##_t* at, uint##bits##_t* expected, uint##bits##_t desired, int, int) {   \
    return compare_exchange(at, expected, desired);                                                \
  }                                                                                                \
  uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                       \
      volatile uint##bits##_t* at, uint##bits##_t expected, uint##bits##_t desired, int, int) {    \
    compare_exchange(at, &expected, desired);                                                      \
    return expected;                                                                               \
  }

STEPPED_ATOMICS(8)
STEPPED_ATOMICS(16)
STEPPED_ATOMICS(32)
STEPPED_ATOMICS(64)

void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}

// What is shared without atomics is shared under a lock.
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_read_range(void*, uintptr_t) {}
void __tsan_write_range(void*, uintptr_t) {}
#define PLAIN_ACCESS(bytes)                   \
  void __tsan_read##bytes(void*) {}           \
  void __tsan_write##bytes(void*) {}          \
  void __tsan_unaligned_read##bytes(void*) {} \
  void __tsan_unaligned_write##bytes(void*) {}
PLAIN_ACCESS(1)
PLAIN_ACCESS(2)
PLAIN_ACCESS(4)
PLAIN_ACCESS(8)
PLAIN_ACCESS(16)

/// The program has one thread of the system's, so that outside of an execution nothing is locked.
static std::unordered_set<const void*>& held_mutexes() {
  static std::unordered_set<const void*> held;
  return held;
}

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  Interleaver* steps = Interleaver::current();
  if (steps == nullptr) return 0;
  steps->access(mutex, Access::kWrite);
  const std::function<bool()> is_free = [mutex] { return !held_mutexes().contains(mutex); };
  while (!is_free()) steps->block(is_free);
  held_mutexes().insert(mutex);
  return 0;
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  if (Interleaver::current() != nullptr) held_mutexes().erase(mutex);
  return 0;
}
// NOLINTEND

}  // extern "C"
