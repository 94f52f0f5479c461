#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "protocols/platform/platform.hpp"
#include "sim/machine/machine.hpp"

namespace ringside::sim {

class GuestEvent;
class GuestTimer;
class GuestWork;

/// One virtual CPU: runs one thing at a time on one of its stacks (contexts).
///
/// Whichever context runs is the driver: it takes upcalls and timers and starts passive
/// jobs. A job that waits drives on until there is another job to start or another wait is
/// over; then it hands the vCPU to that one's context. Only the driver touches what is not
/// guarded by the mutex.
class Vcpu {
 public:
  Vcpu(Machine& machine, Domain& domain, unsigned index);
  /// Precondition: stop() has returned.
  ~Vcpu();

  void post(std::function<void()> job);
  void kick();
  /// From the driver, at passive level.
  Status wait_until(GuestEvent& event, platform::Nanoseconds deadline);
  void set_upcall(Delegate upcall);
  /// Keeps the vCPU, from its next look for work on, from doing anything.
  void hold();
  void let_go();
  /// It is kept now, or has ended.
  bool held() const { return held_.load() || all_ended(); }
  /// Around what runs at dispatch level on this vCPU.
  void enter_dispatch() { ++dispatch_depth_; }
  void leave_dispatch() { --dispatch_depth_; }
  /// The guest's memory lives on in `domain`, and so does the vCPU.
  void move_to(Domain& domain);
  /// Ends waits with kTimedOut and drops jobs that have not begun; returns when no context
  /// is left.
  void stop();
  bool stopping() const { return stopping_.load(); }
  /// For loops that wait for something outside: throws Stopped when a stopping vCPU goes on
  /// for too long.
  void count_stopped_wait();

  unsigned index() const { return index_; }
  World& world() const { return machine_.world(); }
  bool is_current() const;
  bool at_dispatch() const { return dispatch_depth_ > 0 || locks_held_ > 0; }
  void note_lock(int change) { locks_held_ += change; }
  /// The first exception that left a posted job.
  std::exception_ptr take_failure();

 private:
  friend class GuestTimer;
  friend class GuestWork;

  struct Context {
    std::atomic<Actor*> actor{nullptr};
    // While it waits and another context drives:
    GuestEvent* awaited = nullptr;
    platform::Nanoseconds deadline = 0;
  };
  struct Job {
    std::function<void()> run;
    GuestWork* work = nullptr;
  };

  void run_context(Context& context);
  void drive(Context& context);
  Context& new_context();
  void hand_over(Context& self, Context& next);
  void await_turn(Context& context);
  void stay_held();
  void dispatch();
  void take_upcalls();
  GuestTimer* due_timer();
  Context* finished_waiter();
  bool take_job(Job& job);
  bool job_ready();
  void run_job(Job& job);
  platform::Nanoseconds next_deadline();
  Domain& domain() const { return *domain_.load(); }
  bool all_ended() const { return ended_.load() == started_.load(); }

  Machine& machine_;
  std::atomic<Domain*> domain_;
  const Place home_;  // where its actors were spawned
  unsigned index_;
  std::atomic<Context*> driver_{nullptr};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> hold_wanted_{false};
  std::atomic<bool> held_{false};
  std::atomic<uint32_t> started_{0};
  std::atomic<uint32_t> ended_{0};
  std::atomic<bool> in_upcall_{false};

  // The driver's.
  std::vector<std::unique_ptr<Context>> contexts_;
  std::vector<Context*> idle_;
  std::vector<Context*> waiters_;
  int dispatch_depth_ = 0;
  int locks_held_ = 0;
  uint32_t stopped_waits_ = 0;

  std::mutex mutex_;  // guards the rest
  Delegate upcall_;
  std::deque<Job> jobs_;
  std::vector<GuestTimer*> timers_;
  std::exception_ptr failure_;
};

}  // namespace ringside::sim
