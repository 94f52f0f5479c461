#include "sim/world/fiber.hpp"

#include <cxxabi.h>
#include <sys/mman.h>

#include <cstring>
#include <new>
#include <utility>
#include <vector>

// What GCC defines, clang answers.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace ringside::sim {
namespace {

constexpr size_t kStack = 1 << 20;  // touched as far as it is used
constexpr size_t kGuard = 1 << 14;

// The sanitizers' hooks, nothing where they are absent.
#if defined(__SANITIZE_ADDRESS__)
void start_switch(void** fake, const void* bottom, size_t size) {
  __sanitizer_start_switch_fiber(fake, bottom, size);
}
void finish_switch(void* fake, const void** bottom, size_t* size) {
  __sanitizer_finish_switch_fiber(fake, bottom, size);
}
void forget_stack(std::byte* memory) { __asan_unpoison_memory_region(memory, kStack); }
#else
void start_switch(void**, const void*, size_t) {}
void finish_switch(void*, const void**, size_t*) {}
void forget_stack(std::byte*) {}
#endif

#if defined(__SANITIZE_THREAD__)
void* tsan_create() { return __tsan_create_fiber(0); }
void* tsan_current() { return __tsan_get_current_fiber(); }
void tsan_switch(void* fiber) { __tsan_switch_to_fiber(fiber, 0); }
void tsan_destroy(void* fiber) { __tsan_destroy_fiber(fiber); }
#else
void* tsan_create() { return nullptr; }
void* tsan_current() { return nullptr; }
void tsan_switch(void*) {}
void tsan_destroy(void*) {}
#endif

/// Stacks that are not in use, with what they touched: the next world begins sooner.
class StackPool {
 public:
  ~StackPool() {
    for (std::byte* memory : free_) munmap(memory, kGuard + kStack);
  }
  std::byte* take() {
    if (free_.empty()) return make();
    std::byte* memory = free_.back();
    free_.pop_back();
    return memory;
  }
  void give(std::byte* memory) {
    if (free_.size() < kKept) return free_.push_back(memory);
    munmap(memory, kGuard + kStack);
  }

 private:
  static constexpr size_t kKept = 64;

  static std::byte* make() {
    void* memory = mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mprotect(memory, kGuard, PROT_NONE);
    return static_cast<std::byte*>(memory);
  }

  std::vector<std::byte*> free_;
};

StackPool& stacks() {
  static thread_local StackPool pool;
  return pool;
}

}  // namespace

Fiber::Fiber(std::function<void()> body) : body_(std::move(body)) {
  memory_ = stacks().take();
  inside_.begin(
      memory_ + kGuard, kStack, [](void* self) { static_cast<Fiber*>(self)->run(); }, this);
  tsan_inside_ = tsan_create();
}

Fiber::~Fiber() {
  tsan_destroy(tsan_inside_);
  forget_stack(memory_ + kGuard);
  stacks().give(memory_);
}

void Fiber::swap_exceptions() {
  ExceptionState current;
  void* globals = __cxxabiv1::__cxa_get_globals();
  std::memcpy(&current, globals, sizeof current);
  std::memcpy(globals, &exceptions_, sizeof exceptions_);
  exceptions_ = current;
}

void Fiber::enter() {
  void* fake = nullptr;
  swap_exceptions();
  tsan_outside_ = tsan_current();
  start_switch(&fake, memory_ + kGuard, kStack);
  tsan_switch(tsan_inside_);
  StackContext::swap(outside_, inside_);
  finish_switch(fake, nullptr, nullptr);
  swap_exceptions();
}

void Fiber::leave() {
  void* fake = nullptr;
  start_switch(&fake, outside_stack_, outside_size_);
  tsan_switch(tsan_outside_);
  StackContext::swap(inside_, outside_);
  finish_switch(fake, &outside_stack_, &outside_size_);
}

void Fiber::run() {
  finish_switch(nullptr, &outside_stack_, &outside_size_);
  body_();
  body_ = nullptr;
  returned_ = true;
  start_switch(nullptr, outside_stack_, outside_size_);
  tsan_switch(tsan_outside_);
  StackContext::swap(inside_, outside_);
}

}  // namespace ringside::sim
