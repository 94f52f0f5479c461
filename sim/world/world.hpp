#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "protocols/platform/platform.hpp"
#include "sim/world/random.hpp"
#include "sim/world/trace.hpp"

namespace ringside::sim {

using platform::Nanoseconds;

class World;

/// Thrown by sleep() in an actor that is being stopped; let it pass.
struct Stopped {};

/// Where an actor runs; dom0's first vCPU unless something else is said.
struct Place {
  uint16_t domain = 0;
  unsigned vcpu = 0;
  unsigned host = 0;  ///< Machine::host()
  friend bool operator==(const Place&, const Place&) = default;
};

/// One thread of execution of a world: a vCPU, a back end, xenstored.
class Actor {
 public:
  virtual ~Actor() = default;
  /// The actor that is executing, or nullptr outside the world.
  static Actor* current();

  /// Lets sleep() return, now or when next called. Any thread; not from a signal handler.
  virtual void wake() = 0;
  /// From the actor itself only: until wake() or now() >= deadline. May return early.
  /// Throws Stopped once stop() was asked for.
  virtual void sleep(Nanoseconds deadline = platform::kForever) = 0;
  /// From the actor itself only: lets others run for a moment and keeps a wake-up that came.
  virtual void yield() = 0;
  /// From the actor itself only, for a wait inside its work (an answer, a peer): sleeps until
  /// `done` holds, or returns false once now() >= deadline. Wake-ups meant for the actor's
  /// main loop are kept for it.
  bool wait(const std::function<bool()>& done, Nanoseconds deadline = platform::kForever);
  virtual const std::string& name() const = 0;
  virtual World& world() = 0;
  /// The body has returned.
  virtual bool finished() const = 0;

  /// The simulated domain on whose behalf the actor runs (see libxen), and its vCPU.
  Place place() const { return place_; }

 protected:
  explicit Actor(Place place) : place_(place) {}

 private:
  Place place_;
};

/// Time, execution and randomness of a simulated host.
///
/// *Deterministic*: one thread, virtual time, actors are fibers, and which runnable actor
/// goes next is drawn from the seed: the same seed replays bit for bit. Each turn of an
/// actor takes a little virtual time; when no actor can run, time jumps to the next
/// deadline. *Threaded*: each actor is a thread, time is real.
class World {
 public:
  static std::unique_ptr<World> deterministic(uint64_t seed);
  static std::unique_ptr<World> threaded(uint64_t seed);
  /// Stops the actors that still run; what their bodies refer to must still exist.
  virtual ~World() = default;

  /// `body` runs until it returns. An exception that leaves it (but Stopped) comes out of
  /// the next run_until().
  virtual Actor& spawn(std::string name, std::function<void()> body, Place place = {}) = 0;
  /// From outside the actors: runs the world until `done` holds; false when `budget`
  /// nanoseconds of world time went by first, or nothing can run any more. In a threaded
  /// world `done` is polled from the caller's thread and must only read atomics.
  virtual bool run_until(const std::function<bool()>& done, Nanoseconds budget) = 0;
  /// Makes the actor's sleep() throw Stopped and waits until its body has returned. From
  /// outside or from another actor.
  virtual void stop(Actor& actor) = 0;
  /// In a deterministic world also usable outside the actors.
  virtual Nanoseconds now() const = 0;
  virtual bool is_deterministic() const = 0;

  /// For actors of a deterministic world, and for set-up.
  Random& random() { return random_; }
  Trace& trace() { return trace_; }
  uint64_t seed() const { return seed_; }

 protected:
  explicit World(uint64_t seed) : seed_(seed), random_(seed) {}

 private:
  uint64_t seed_;
  Random random_;
  Trace trace_;
};

}  // namespace ringside::sim
