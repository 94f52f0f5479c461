#pragma once

#include <cstddef>
#include <exception>
#include <functional>

#include "sim/world/stack_switch.hpp"

namespace ringside::sim {

/// A function on a stack of its own that can be left and entered again, on one thread.
/// Known to the address and thread sanitizers.
class Fiber {
 public:
  /// `body` must not throw.
  explicit Fiber(std::function<void()> body);
  /// Precondition: never entered, or returned().
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// From outside: runs the body until it calls leave() or returns.
  void enter();
  /// From inside: goes back to where enter() was called.
  void leave();
  bool returned() const { return returned_; }

 private:
  /// What the C++ run time keeps per thread about exceptions in flight (Itanium C++ ABI).
  struct ExceptionState {
    void* caught = nullptr;
    unsigned uncaught = 0;
  };
  void run();
  void swap_exceptions();

  std::function<void()> body_;
  bool returned_ = false;
  std::byte* memory_;
  StackContext inside_;
  StackContext outside_;
  ExceptionState exceptions_;
  const void* outside_stack_ = nullptr;  // for the address sanitizer
  size_t outside_size_ = 0;
  void* tsan_inside_ = nullptr;
  void* tsan_outside_ = nullptr;
};

}  // namespace ringside::sim
