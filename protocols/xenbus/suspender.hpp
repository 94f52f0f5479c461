#pragma once

#include <atomic>
#include <cstdint>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/hypercalls.hpp"
#include "protocols/xenbus/interfaces/suspend.hpp"

namespace ringside::xenbus {

/// XENBUS SUSPEND over SCHEDOP_shutdown. Source: sched.h, SHUTDOWN_suspend.
class Suspender final : public Suspend {
 public:
  Suspender(platform::Platform& platform, Hypercalls& xen) : platform_(platform), xen_(xen) {}
  Suspender(const Suspender&) = delete;
  Suspender& operator=(const Suspender&) = delete;
  ~Suspender();

  Status start();

  Result<Owned<SuspendCallback>> add(SuspendPhase phase, Delegate callback) override;
  Result<SuspendOutcome> trigger() override;
  uint32_t count() const override { return count_.load(); }
  bool busy() const override { return busy_.load(); }

  /// Keeps trigger() waiting until let_go(); for one holder at a time. False when the domain is
  /// being suspended: `over` is called once it is not any more, at dispatch level. [MEMORY-006]
  bool hold_off(Delegate over);
  void let_go();
  /// After return `over` of a hold_off() that answered false is not called.
  void forget_hold();

 private:
  class Callback;

  bool held() const;
  void suspend_alone();
  void run_late();
  Callback* next_late();
  void remove(Callback& callback);

  platform::Platform& platform_;
  Hypercalls& xen_;
  Owned<platform::Lock> lock_;   ///< guards the list and running_
  Owned<platform::Event> idle_;  ///< set while no LATE callback runs
  Owned<platform::Event> free_;  ///< set while nobody holds trigger() off
  bool held_ = false;            ///< guarded by lock_
  Delegate over_;                ///< guarded by lock_
  Callback* callbacks_ = nullptr;
  Callback* running_ = nullptr;
  std::atomic<bool> busy_ = false;
  std::atomic<uint32_t> count_ = 0;
  Result<bool> result_ = Status::kBusy;  ///< of the hypercall: true when resumed
};

}  // namespace ringside::xenbus
