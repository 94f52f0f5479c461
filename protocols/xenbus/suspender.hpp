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

 private:
  class Callback;

  void suspend_alone();
  void run_late();
  Callback* next_late();
  void remove(Callback& callback);

  platform::Platform& platform_;
  Hypercalls& xen_;
  Owned<platform::Lock> lock_;   ///< guards the list and running_
  Owned<platform::Event> idle_;  ///< set while no LATE callback runs
  Callback* callbacks_ = nullptr;
  Callback* running_ = nullptr;
  std::atomic<bool> busy_ = false;
  std::atomic<uint32_t> count_ = 0;
  Result<bool> result_ = Status::kBusy;  ///< of the hypercall: true when resumed
};

}  // namespace ringside::xenbus
