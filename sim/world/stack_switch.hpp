#pragma once

#include <cstddef>

// The hand-written switch makes no system call. The sanitizers know ucontext, and so does every
// other processor.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RINGSIDE_SWITCH_UCONTEXT 1
#endif
#endif
#if !defined(__x86_64__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RINGSIDE_SWITCH_UCONTEXT 1
#endif

#if defined(RINGSIDE_SWITCH_UCONTEXT)
#include <ucontext.h>
#endif

namespace ringside::sim {

/// A flow of execution that waits, on a stack of its own, to be gone on with.
class StackContext {
 public:
  /// Lays the beginning of `entry(argument)` onto a stack of `size` bytes at `bottom`. `entry`
  /// never returns.
  void begin(std::byte* bottom, size_t size, void (*entry)(void*), void* argument);

  /// Leaves the running flow in `from` and goes on with `to`.
  static void swap(StackContext& from, StackContext& to);

 private:
#if defined(RINGSIDE_SWITCH_UCONTEXT)
  ucontext_t context_{};
#else
  void* stack_pointer_ = nullptr;
#endif
};

}  // namespace ringside::sim
