#pragma once

#include <atomic>

#include "sim/guest/platform.hpp"

namespace ringside::sim {

/// The spin lock of a guest; a vCPU that takes it twice or waits with it held is stopped.
class GuestLock final : public platform::Lock {
 public:
  GuestLock(std::atomic<int>* count, GuestPlatform& platform)
      : counted_(count), platform_(platform) {}
  void acquire() override;
  void release() override;
  void destroy() override { delete this; }

 private:
  Counted counted_;
  GuestPlatform& platform_;
  std::atomic<bool> held_{false};
  std::atomic<Vcpu*> holder_{nullptr};
};

}  // namespace ringside::sim
