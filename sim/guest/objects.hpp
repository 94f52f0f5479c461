#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "protocols/platform/platform.hpp"
#include "sim/guest/vcpu.hpp"

namespace ringside::sim {

/// How many objects of each kind a guest's drivers hold.
struct ObjectCounts {
  std::atomic<int> events{0};
  std::atomic<int> locks{0};
  std::atomic<int> timers{0};
  std::atomic<int> works{0};
};

/// Counts one object as long as it lives.
class Counted {
 public:
  explicit Counted(std::atomic<int>* count) : count_(count) {
    if (count_ != nullptr) ++*count_;
  }
  ~Counted() {
    if (count_ != nullptr) --*count_;
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<int>* count_;
};

class GuestEvent final : public platform::Event {
 public:
  explicit GuestEvent(std::atomic<int>* count) : counted_(count) {}
  ~GuestEvent();
  void signal() override;
  void reset() override { set_.store(false); }
  void destroy() override { delete this; }

  bool is_set() const { return set_.load(); }
  /// The vCPU to kick at signal(), for as long as it waits.
  void add_waiter(Vcpu& vcpu);
  void remove_waiter(Vcpu& vcpu);

 private:
  Counted counted_;
  std::atomic<bool> set_{false};
  std::mutex mutex_;
  std::vector<Vcpu*> waiters_;
};

class GuestTimer final : public platform::Timer {
 public:
  GuestTimer(std::atomic<int>* count, Vcpu& vcpu, Delegate expired)
      : counted_(count), vcpu_(vcpu), expired_(expired) {}
  void start(platform::Nanoseconds deadline) override;
  void cancel() override;
  void destroy() override;

 private:
  friend class Vcpu;
  void run();

  Counted counted_;
  Vcpu& vcpu_;
  Delegate expired_;
  bool doomed_ = false;  // destroyed by its own delegate
  std::atomic<bool> running_{false};
  platform::Nanoseconds deadline_ = 0;  // vcpu_.mutex_
};

class GuestWork final : public platform::Work {
 public:
  GuestWork(std::atomic<int>* count, Vcpu& vcpu, Delegate run)
      : counted_(count), vcpu_(vcpu), run_(run), idle_(nullptr) {
    idle_.signal();
  }
  void queue() override;
  void cancel() override;
  void destroy() override;

 private:
  friend class Vcpu;
  void run();
  void unqueue();

  Counted counted_;
  Vcpu& vcpu_;
  Delegate run_;
  GuestEvent idle_;  // set while it does not run
  bool doomed_ = false;
  std::atomic<Actor*> runner_{nullptr};
  bool queued_ = false;  // vcpu_.mutex_
};

}  // namespace ringside::sim
