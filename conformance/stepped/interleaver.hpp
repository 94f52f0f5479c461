#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "conformance/ring/choices.hpp"
#include "sim/world/fiber.hpp"

namespace ringside::conformance {

/// Runs a few threads of unmodified code in every order that their atomic accesses can have.
///
/// The code under test is compiled as for the thread sanitizer and linked with stepped_atomics.cpp
/// in place of its run time, so that each atomic access stops here first. An execution whose state
/// was seen before is not followed further; a state is what each thread has read from whom. Every
/// access is sequentially consistent, as are the real ones of events.
class Interleaver {
 public:
  enum class Access : uint8_t { kRead, kWrite };
  struct Thread {
    std::string name;
    std::function<void()> body;
    /// It does not run while this is false.
    std::function<bool()> may_run = [] { return true; };
  };
  /// Makes the threads of one execution, and what it must have led to: a violation, or nothing.
  struct Execution {
    std::vector<Thread> threads;
    std::function<std::optional<std::string>()> verdict;
  };
  struct Outcome {
    std::optional<std::string> violation;  ///< of the first execution that has one
    uint64_t executions = 0;
    uint64_t states = 0;
  };
  using Scenario = std::function<Execution()>;

  /// `torn`: read-modify-write accesses of threads whose name begins so happen in two steps, as
  /// without the lock prefix. The canaries' fault.
  explicit Interleaver(std::string torn = {}) : torn_(std::move(torn)) {}

  /// All executions of `scenario`, which is called anew for each.
  Outcome check(const Scenario& scenario);

  /// The one that is running an execution; null outside of it.
  static Interleaver* current();
  /// Before an access of the thread that runs. From here on others may run first.
  void access(const volatile void* at, Access access);
  /// The access in hand is to be torn apart.
  bool tears() const;
  /// Others run until `ready`; false when no thread can run any more.
  bool wait(const std::function<bool()>& ready);
  /// The same for what must come about: a violation when it does not.
  void block(const std::function<bool()>& ready);
  /// The name of the thread that runs.
  const std::string& self() const { return threads_[self_].thread->name; }

 private:
  struct Running {
    std::unique_ptr<sim::Fiber> fiber;
    const Thread* thread = nullptr;
    const std::function<bool()>* waits_for = nullptr;
    bool insists = false;  ///< block(), not wait()
    bool quiet = false;    ///< woken because nobody could run
    uint64_t steps = 0;
    uint64_t writes = 0;
    uint64_t history = 0;  ///< what it has accessed, and whose value it found
  };

  std::optional<std::string> execute(const Execution& execution, Choices& choices);
  /// The threads that can go on, in their order.
  std::vector<unsigned> runnable() const;
  void go_on(unsigned index);
  std::optional<std::string> abandon_the_stuck();
  bool wake_the_waiting();
  bool seen_before();
  std::string schedule() const;

  std::string torn_;
  std::vector<Running> threads_;
  unsigned self_ = 0;
  std::vector<unsigned> order_;  ///< whose step each one was
  std::unordered_map<const volatile void*, uint64_t> versions_;
  std::unordered_set<uint64_t> seen_;
};

}  // namespace ringside::conformance
