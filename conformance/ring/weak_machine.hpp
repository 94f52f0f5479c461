#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#include "conformance/ring/choices.hpp"
#include "sim/world/fiber.hpp"

namespace ringside::conformance {

/// Orders that a broken memory fails to keep.
struct Broken {
  bool full_barrier = false;   ///< it does not wait for earlier stores
  bool release_store = false;  ///< it can become visible before earlier stores
};

/// Two CPUs, their stores buffered and seen by the other out of order, and their events.
///
/// Partial store order: a store waits in its CPU's buffer, in order only with those to the
/// same word, until a barrier, or until the other CPU happens to see it. When that is, and
/// which CPU goes on after each access, is chosen: going through all choices goes through
/// all executions of at most `preemptions` switches that no sleep forced. Loads happen in
/// program order, as x86 has it and acquire loads ask for elsewhere.
class WeakMachine {
 public:
  static constexpr unsigned kCpus = 2;

  WeakMachine(Broken broken, unsigned preemptions) : broken_(broken), preemptions_(preemptions) {}
  ~WeakMachine() {
    quit_ = true;
    for (auto& fiber : fibers_) fiber.enter();
  }
  WeakMachine(const WeakMachine&) = delete;
  WeakMachine& operator=(const WeakMachine&) = delete;

  /// Runs both programs until they return, or until both sleep: false, and the sleepers'
  /// sleep() returns false.
  bool run(Choices& choices, std::array<std::function<void()>, kCpus> programs) {
    choices_ = &choices;
    programs_ = std::move(programs);
    cpus_ = {};
    left_ = preemptions_;
    stopped_ = false;
    bool live = true;
    running_ = true;
    for (current_ = choices.choose(kCpus);;) {
      if (!runnable(current_)) current_ = other(current_);
      if (!runnable(current_)) {
        if (cpus_[0].done && cpus_[1].done) break;
        live = false;
        stopped_ = true;
        current_ = cpus_[0].done ? 1 : 0;
      }
      fibers_[current_].enter();
    }
    running_ = false;
    return live;
  }

  // --- from within the programs ---------------------------------------------------------
  /// Until notify(); at once when that came earlier. False when the execution is over.
  bool sleep() {
    Cpu& self = cpus_[current_];
    self.asleep = true;
    if (!self.notified) fibers_[current_].leave();
    self.asleep = self.notified = false;
    return !stopped_;
  }
  /// Sends the other CPU an event: a hypercall, which drains the buffer.
  void notify() {
    preempt();
    commit_all(current_);
    cpus_[other(current_)].notified = true;
  }

  uint32_t load(const std::byte* at) {
    if (running_) {
      preempt();
      const auto& own = cpus_[current_].buffer;
      const auto newest = std::find_if(own.rbegin(), own.rend(),
                                       [at](const Store& store) { return store.at == at; });
      if (newest != own.rend()) return newest->value;
      see_some_of(other(current_), at);
    }
    uint32_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  void store(std::byte* at, uint32_t value, bool release) {
    if (running_) preempt();
    cpus_[current_].buffer.push_back({at, value, release && !broken_.release_store});
    if (!running_) commit_all(current_);
  }
  void full_barrier() {
    preempt();
    if (!broken_.full_barrier) commit_all(current_);
  }

 private:
  struct Store {
    std::byte* at;
    uint32_t value;
    bool release;
  };
  struct Cpu {
    std::vector<Store> buffer;  ///< in program order
    bool notified = false;
    bool asleep = false;
    bool done = false;
  };

  static unsigned other(unsigned cpu) { return 1 - cpu; }

  bool runnable(unsigned cpu) const {
    const Cpu& it = cpus_[cpu];
    return !it.done && (!it.asleep || it.notified || stopped_);
  }

  void preempt() {
    if (stopped_ || left_ == 0 || !runnable(other(current_)) || choices_->choose(2) == 0) return;
    --left_;
    const unsigned self = current_;
    current_ = other(self);
    fibers_[self].leave();
  }

  /// Some of what `cpu` stored to `at`, or none of it, becomes visible.
  void see_some_of(unsigned cpu, const std::byte* at) {
    const auto& buffer = cpus_[cpu].buffer;
    const auto matches = [at](const Store& store) { return store.at == at; };
    const auto pending = std::count_if(buffer.begin(), buffer.end(), matches);
    if (pending == 0) return;
    auto seen = choices_->choose(static_cast<unsigned>(pending) + 1);
    if (seen == 0) return;
    size_t last = 0;
    while (!matches(buffer[last]) || --seen != 0) ++last;
    commit_through(cpu, last);
  }

  /// Commits the store `last` and what must be visible before it.
  void commit_through(unsigned cpu, size_t last) {
    auto& buffer = cpus_[cpu].buffer;
    std::vector<bool> needed(buffer.size(), false);
    needed[last] = true;
    for (size_t i = last; i-- > 0;) {
      for (size_t later = i + 1; later <= last && !needed[i]; ++later) {
        needed[i] = needed[later] && (buffer[later].release || buffer[later].at == buffer[i].at);
      }
    }
    std::vector<Store> kept;
    for (size_t i = 0; i < buffer.size(); ++i) {
      if (needed[i]) {
        std::memcpy(buffer[i].at, &buffer[i].value, sizeof buffer[i].value);
      } else {
        kept.push_back(buffer[i]);
      }
    }
    buffer = std::move(kept);
  }

  void commit_all(unsigned cpu) {
    auto& buffer = cpus_[cpu].buffer;
    for (const Store& store : buffer) std::memcpy(store.at, &store.value, sizeof store.value);
    buffer.clear();
  }

  void run_programs(unsigned cpu) {
    while (!quit_) {
      programs_[cpu]();
      commit_all(cpu);
      cpus_[cpu].done = true;
      fibers_[cpu].leave();
    }
  }

  Broken broken_;
  unsigned preemptions_;
  unsigned left_ = 0;
  Choices* choices_ = nullptr;
  std::array<std::function<void()>, kCpus> programs_;
  std::array<Cpu, kCpus> cpus_;
  unsigned current_ = 0;
  bool running_ = false;
  bool stopped_ = false;
  bool quit_ = false;
  std::array<sim::Fiber, kCpus> fibers_{
      sim::Fiber([this] { run_programs(0); }),
      sim::Fiber([this] { run_programs(1); }),
  };
};

/// The rings' memory policy over a WeakMachine. Of a slot, the first and the last word are
/// modelled: enough to see a slot that is stale or torn.
class WeakMemory {
 public:
  WeakMemory() = default;
  explicit WeakMemory(WeakMachine& machine) : machine_(&machine) {}

  uint32_t load(const std::byte* at) const { return machine_->load(at); }
  uint32_t load_acquire(const std::byte* at) const { return machine_->load(at); }
  void store(std::byte* at, uint32_t value) const { machine_->store(at, value, false); }
  void store_release(std::byte* at, uint32_t value) const { machine_->store(at, value, true); }
  void full_barrier() const { machine_->full_barrier(); }

  template <typename T>
  void copy_out(const std::byte* at, T& into) const {
    into = {};
    for (const size_t offset : ends_of<T>()) {
      const uint32_t word = machine_->load(at + offset);
      std::memcpy(reinterpret_cast<std::byte*>(&into) + offset, &word, sizeof word);
    }
  }
  template <typename T>
  void copy_in(std::byte* at, const T& value) const {
    for (const size_t offset : ends_of<T>()) {
      uint32_t word;
      std::memcpy(&word, reinterpret_cast<const std::byte*>(&value) + offset, sizeof word);
      machine_->store(at + offset, word, false);
    }
  }

 private:
  template <typename T>
  static constexpr std::array<size_t, 2> ends_of() {
    return {0, sizeof(T) - sizeof(uint32_t)};
  }

  WeakMachine* machine_ = nullptr;
};

}  // namespace ringside::conformance
