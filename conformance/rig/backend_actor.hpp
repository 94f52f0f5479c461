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
    actor_ = &host.world().spawn(std::move(name), [this, make = std::move(make)] { run(make); },
                                 {.host = host.machine().host()});
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

  /// The back end dies between two of its turns and another takes its place `down` later. Any
  /// actor.
  void crash(sim::Nanoseconds down) {
    down_for_ = down;
    crash_ = true;
    actor_->wake();
  }
  /// Until `until` of world time each turn comes `delay` late. Any actor.
  void hinder(sim::Nanoseconds until, sim::Nanoseconds delay) {
    delay_ = delay;
    hindered_until_ = until;
  }
  /// How many have taken the place of a crashed one.
  unsigned restarts() const { return restarts_.load(); }

  /// The back end dies where it stands, as a driver domain or process does.
  void stop() {
    if (!actor_->finished()) host_.world().stop(*actor_);
  }

 private:
  void run(const Make& make) {
    sim::Actor& self = *sim::Actor::current();
    for (;; ++restarts_) {
      const std::unique_ptr<Backend> backend = make([&self] { self.wake(); });
      backend_ = backend.get();
      if (backend == nullptr) {
        failed_ = true;
        return;
      }
      started_ = true;
      serve(*backend, self);
      backend_ = nullptr;
      pause(self, down_for_.load());
    }
  }

  /// Until it is to crash.
  void serve(Backend& backend, sim::Actor& self) {
    for (;;) {
      if (host_.world().now() < hindered_until_.load()) pause(self, delay_.load());
      if (crash_.exchange(false)) return;
      backend.service();
      self.sleep();
    }
  }

  void pause(sim::Actor& self, sim::Nanoseconds span) {
    const sim::Nanoseconds end = host_.world().now() + span;
    while (host_.world().now() < end) self.sleep(end);
  }

  Host& host_;
  sim::Actor* actor_ = nullptr;
  Backend* backend_ = nullptr;
  std::atomic<bool> started_ = false;
  std::atomic<bool> failed_ = false;
  std::atomic<bool> crash_ = false;
  std::atomic<unsigned> restarts_ = 0;
  std::atomic<sim::Nanoseconds> down_for_ = 0;
  std::atomic<sim::Nanoseconds> hindered_until_ = 0;
  std::atomic<sim::Nanoseconds> delay_ = 0;
};

}  // namespace ringside::conformance
