#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "sim/world/current.hpp"
#include "sim/world/fiber.hpp"
#include "sim/world/world.hpp"

namespace ringside::sim {
namespace {

class DeterministicWorld;

class FiberActor final : public Actor {
 public:
  enum class State : uint8_t { kRunnable, kSleeping, kFinished };

  FiberActor(DeterministicWorld& world, std::string name, std::function<void()> body, Place place)
      : Actor(place), world_(world), name_(std::move(name)), body_(std::move(body)), fiber_([this] {
          run();
        }) {}

  void wake() override {
    if (state_ == State::kSleeping) {
      state_ = State::kRunnable;
    } else {
      woken_ = true;
    }
  }
  void sleep(Nanoseconds deadline) override;
  void yield() override {
    if (!stopping_) fiber_.leave();
    throw_if_stopping();
  }
  const std::string& name() const override { return name_; }
  World& world() override;
  bool finished() const override { return state_ == State::kFinished; }

  bool runnable(Nanoseconds now) {
    if (state_ == State::kSleeping && deadline_ <= now) state_ = State::kRunnable;
    return state_ == State::kRunnable;
  }
  Nanoseconds deadline() const {
    return state_ == State::kSleeping ? deadline_ : platform::kForever;
  }
  void enter() {
    Actor* outer = set_current_actor(this);
    fiber_.enter();
    set_current_actor(outer);
  }
  void ask_to_stop() { stopping_ = true; }

 private:
  void run();
  void throw_if_stopping() const {
    // A destructor that waits while Stopped passes must not throw again.
    if (stopping_ && std::uncaught_exceptions() == 0) throw Stopped{};
  }

  DeterministicWorld& world_;
  std::string name_;
  std::function<void()> body_;
  State state_ = State::kRunnable;
  bool woken_ = false;
  bool stopping_ = false;
  Nanoseconds deadline_ = platform::kForever;
  Fiber fiber_;
};

class DeterministicWorld final : public World {
 public:
  explicit DeterministicWorld(uint64_t seed) : World(seed), schedule_(Random(~seed).fork()) {
    trace().enable(true);
  }
  ~DeterministicWorld() override {
    // By index: an actor may still spawn others while it ends.
    for (size_t i = 0; i < actors_.size(); ++i) end(*actors_[i]);
  }

  Actor& spawn(std::string name, std::function<void()> body, Place place) override {
    actors_.push_back(std::make_unique<FiberActor>(*this, std::move(name), std::move(body), place));
    return *actors_.back();
  }

  bool run_until(const std::function<bool()>& done, Nanoseconds budget) override {
    const Nanoseconds end = budget > platform::kForever - now_ ? platform::kForever : now_ + budget;
    while (!done()) {
      if (now_ >= end || !step(end)) return false;
      if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }
    return true;
  }

  void stop(Actor& actor) override {
    auto& fiber = static_cast<FiberActor&>(actor);
    Actor* self = Actor::current();
    if (self == nullptr) return end(fiber);
    fiber.ask_to_stop();
    fiber.wake();
    while (!fiber.finished()) self->sleep(now_ + 1);
  }

  Nanoseconds now() const override { return now_; }
  bool is_deterministic() const override { return true; }

  void fail(std::exception_ptr failure) {
    if (!failure_) failure_ = std::move(failure);
  }

 private:
  /// One turn of one actor, or a jump in time. False when nothing can ever run.
  bool step(Nanoseconds end) {
    runnable_.clear();
    Nanoseconds next = platform::kForever;
    for (const auto& actor : actors_) {
      if (actor->runnable(now_)) {
        runnable_.push_back(actor.get());
      } else {
        next = std::min(next, actor->deadline());
      }
    }
    if (runnable_.empty()) {
      if (next == platform::kForever) return false;
      now_ = std::min(next, end);
      return true;
    }
    FiberActor* chosen = runnable_[schedule_.below(runnable_.size())];
    // Code costs time; without that a loop that polls the clock would never end.
    now_ += 50 + schedule_.below(450);
    chosen->enter();
    return true;
  }

  void end(FiberActor& actor) {
    actor.ask_to_stop();
    while (!actor.finished()) actor.enter();
  }

  Random schedule_;
  Nanoseconds now_ = 1'000'000;
  std::vector<std::unique_ptr<FiberActor>> actors_;
  std::vector<FiberActor*> runnable_;
  std::exception_ptr failure_;
};

World& FiberActor::world() { return world_; }

void FiberActor::sleep(Nanoseconds deadline) {
  if (!stopping_) {
    const bool at_once = std::exchange(woken_, false) || deadline <= world_.now();
    state_ = at_once ? State::kRunnable : State::kSleeping;
    deadline_ = deadline;
    fiber_.leave();
    woken_ = false;
    state_ = State::kRunnable;
  }
  throw_if_stopping();
}

void FiberActor::run() {
  try {
    if (!stopping_) body_();
  } catch (const Stopped&) {
    // Asked for by stop().
  } catch (...) {
    world_.fail(std::current_exception());
  }
  body_ = nullptr;
  state_ = State::kFinished;
}

}  // namespace

std::unique_ptr<World> World::deterministic(uint64_t seed) {
  return std::make_unique<DeterministicWorld>(seed);
}

}  // namespace ringside::sim
