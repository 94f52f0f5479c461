#pragma once

#include "protocols/platform/platform.hpp"

namespace ringside::platform {

/// Runs delegates at dispatch level on one CPU, from passive level on any: what they change
/// needs no lock against the dispatch code of that CPU.
class CpuCall {
 public:
  CpuCall() = default;
  CpuCall(const CpuCall&) = delete;
  CpuCall& operator=(const CpuCall&) = delete;

  /// May be repeated; what is there stays.
  Status prepare(Platform& platform, unsigned cpu) {
    if (timer_) return Status::kOk;
    auto done = platform.create_event();
    if (!done) return done.status();
    auto timer = platform.create_timer(Delegate::to<&CpuCall::expired>(*this), cpu);
    if (!timer) return timer.status();
    platform_ = &platform;
    done_ = *std::move(done);
    timer_ = *std::move(timer);
    return Status::kOk;
  }
  /// Returns when `call` has. One at a time.
  void run(Delegate call) {
    call_ = call;
    done_->reset();
    timer_->start(platform_->now());
    if (ok(platform_->wait_until(*done_, kForever))) return;
    // The CPUs do not run any more.
    timer_->cancel();
    call_();
  }

 private:
  void expired() {
    call_();
    done_->signal();
  }

  Platform* platform_ = nullptr;
  Delegate call_;
  Owned<Event> done_;
  Owned<Timer> timer_;
};

}  // namespace ringside::platform
