#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "conformance/rig/host.hpp"

namespace ringside::conformance {

/// A back end at work: an actor of dom0 that makes it, calls service() whenever it is woken
/// and destroys it when it is stopped. `Backend` is Netback, Blkback or a test's own.
template <typename Backend>
class BackendActor {
 public:
  using Wake = std::function<void()>;
  /// Called on the actor; nullptr is a RigError.
  using Make = std::function<std::unique_ptr<Backend>(Wake)>;

  BackendActor(Host& host, std::string name, Make make) : host_(host) {
    actor_ = &host.world().spawn(std::move(name), [this, make = std::move(make)] { run(make); });
    host.require("a back end to start", [this] { return started_.load() || failed_.load(); });
    if (failed_.load()) throw RigError("the back end could not open its handles");
  }
  ~BackendActor() { stop(); }
  BackendActor(const BackendActor&) = delete;
  BackendActor& operator=(const BackendActor&) = delete;

  /// In a deterministic world, from outside the actors (or from the back end's own).
  Backend& operator*() { return *backend_; }
  Backend* operator->() { return backend_; }
  void wake() { actor_->wake(); }

  /// The back end dies where it stands, as a driver domain or process does.
  void stop() {
    if (!actor_->finished()) host_.world().stop(*actor_);
  }

 private:
  void run(const Make& make) {
    sim::Actor& self = *sim::Actor::current();
    const std::unique_ptr<Backend> backend = make([&self] { self.wake(); });
    backend_ = backend.get();
    if (backend == nullptr) {
      failed_ = true;
      return;
    }
    started_ = true;
    for (;;) {
      backend->service();
      self.sleep();
    }
  }

  Host& host_;
  sim::Actor* actor_ = nullptr;
  Backend* backend_ = nullptr;
  std::atomic<bool> started_ = false;
  std::atomic<bool> failed_ = false;
};

}  // namespace ringside::conformance
