#pragma once

#include <vector>

#include "protocols/xenbus/interfaces/suspend.hpp"

namespace ringside::conformance {

/// XENBUS's SUSPEND, resumed when a test says so.
class PlayedSuspend final : public xenbus::Suspend {
 public:
  Result<Owned<xenbus::SuspendCallback>> add(xenbus::SuspendPhase phase,
                                             Delegate callback) override {
    if (!ok(add_answer)) return add_answer;
    auto* const one = new Callback(*this, phase, callback);
    callbacks.push_back(one);
    return Owned<xenbus::SuspendCallback>(one);
  }
  Result<xenbus::SuspendOutcome> trigger() override {
    ++resumes;
    for (const auto phase : {xenbus::SuspendPhase::kEarly, xenbus::SuspendPhase::kLate}) {
      for (Callback* const one : callbacks) {
        if (one->phase == phase) one->run();
      }
    }
    return xenbus::SuspendOutcome::kResumed;
  }
  uint32_t count() const override { return resumes; }
  bool busy() const override { return false; }

  struct Callback final : xenbus::SuspendCallback {
    Callback(PlayedSuspend& owner, xenbus::SuspendPhase when, Delegate what)
        : phase(when), run(what), owner_(owner) {}
    void destroy() override {
      std::erase(owner_.callbacks, this);
      delete this;
    }
    xenbus::SuspendPhase phase;
    Delegate run;

   private:
    PlayedSuspend& owner_;
  };
  std::vector<Callback*> callbacks;
  uint32_t resumes = 0;
  Status add_answer = Status::kOk;
};

}  // namespace ringside::conformance
