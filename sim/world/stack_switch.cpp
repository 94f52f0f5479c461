#include "sim/world/stack_switch.hpp"

#include <cstdint>
#include <cstring>

namespace ringside::sim {

#if defined(RINGSIDE_SWITCH_UCONTEXT)

namespace {

/// makecontext() hands on ints only.
void trampoline(unsigned entry_high, unsigned entry_low, unsigned high, unsigned low) {
  const auto entry = reinterpret_cast<void (*)(void*)>(uintptr_t{entry_high} << 32 | entry_low);
  entry(reinterpret_cast<void*>(uintptr_t{high} << 32 | low));
}

}  // namespace

void StackContext::begin(std::byte* bottom, size_t size, void (*entry)(void*), void* argument) {
  getcontext(&context_);
  context_.uc_stack.ss_sp = bottom;
  context_.uc_stack.ss_size = size;
  const auto code = reinterpret_cast<uintptr_t>(entry);
  const auto data = reinterpret_cast<uintptr_t>(argument);
  makecontext(&context_, reinterpret_cast<void (*)()>(&trampoline), 4,
              static_cast<unsigned>(code >> 32), static_cast<unsigned>(code),
              static_cast<unsigned>(data >> 32), static_cast<unsigned>(data));
}

void StackContext::swap(StackContext& from, StackContext& to) {
  swapcontext(&from.context_, &to.context_);
}

#else

// What the System V ABI wants kept across a call: rbx, rbp, r12 to r15, and the control words
// of SSE and x87. The rest a caller expects to lose.
asm(R"(
  .text
  .p2align 4
  .globl ringside_switch_stack
  .hidden ringside_switch_stack
  .type ringside_switch_stack, @function
ringside_switch_stack:
  .cfi_startproc
  pushq %rbp
  .cfi_adjust_cfa_offset 8
  pushq %rbx
  .cfi_adjust_cfa_offset 8
  pushq %r12
  .cfi_adjust_cfa_offset 8
  pushq %r13
  .cfi_adjust_cfa_offset 8
  pushq %r14
  .cfi_adjust_cfa_offset 8
  pushq %r15
  .cfi_adjust_cfa_offset 8
  subq $8, %rsp
  .cfi_adjust_cfa_offset 8
  stmxcsr (%rsp)
  fnstcw 4(%rsp)
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  ldmxcsr (%rsp)
  fldcw 4(%rsp)
  addq $8, %rsp
  .cfi_adjust_cfa_offset -8
  popq %r15
  .cfi_adjust_cfa_offset -8
  popq %r14
  .cfi_adjust_cfa_offset -8
  popq %r13
  .cfi_adjust_cfa_offset -8
  popq %r12
  .cfi_adjust_cfa_offset -8
  popq %rbx
  .cfi_adjust_cfa_offset -8
  popq %rbp
  .cfi_adjust_cfa_offset -8
  ret
  .cfi_endproc
  .size ringside_switch_stack, . - ringside_switch_stack

  .p2align 4
  .globl ringside_begin_stack
  .hidden ringside_begin_stack
  .type ringside_begin_stack, @function
ringside_begin_stack:
  .cfi_startproc
  .cfi_undefined rip
  movq %r13, %rdi
  callq *%r12
  ud2
  .cfi_endproc
  .size ringside_begin_stack, . - ringside_begin_stack
)");

extern "C" {
/// Saves the registers on the running stack and its pointer in `*from`, then goes on at `to`.
void ringside_switch_stack(void** from, void* to);
/// Where a fresh stack begins: calls r12 with r13. Unwinders stop here.
void ringside_begin_stack();
}

namespace {

/// What ringside_switch_stack() finds on a stack it is to go on with, lowest address first.
struct Saved {
  uint32_t mxcsr = 0x1f80;  // all exceptions masked, round to nearest: as a process starts
  uint32_t x87_control = 0x037f;
  uint64_t r15 = 0;
  uint64_t r14 = 0;
  void* r13 = nullptr;
  void (*r12)(void*) = nullptr;
  uint64_t rbx = 0;
  uint64_t rbp = 0;
  void (*return_to)() = &ringside_begin_stack;
};
static_assert(sizeof(Saved) == 64);

}  // namespace

void StackContext::begin(std::byte* bottom, size_t size, void (*entry)(void*), void* argument) {
  Saved saved;
  saved.r12 = entry;
  saved.r13 = argument;
  // After the return the stack pointer is a multiple of 16, as it must be before a call.
  const uintptr_t top = (reinterpret_cast<uintptr_t>(bottom) + size) & ~uintptr_t{15};
  stack_pointer_ = reinterpret_cast<void*>(top - sizeof saved);
  std::memcpy(stack_pointer_, &saved, sizeof saved);
}

void StackContext::swap(StackContext& from, StackContext& to) {
  ringside_switch_stack(&from.stack_pointer_, to.stack_pointer_);
}

#endif

}  // namespace ringside::sim
