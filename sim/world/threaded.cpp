#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "sim/world/current.hpp"
#include "sim/world/world.hpp"

namespace ringside::sim {
namespace {

Nanoseconds monotonic() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<Nanoseconds>(time.tv_sec) * platform::kSecond +
         static_cast<Nanoseconds>(time.tv_nsec);
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

class ThreadedWorld;

class ThreadActor final : public Actor {
 public:
  ThreadActor(ThreadedWorld& world, std::string name, Place place)
      : Actor(place), world_(world), name_(std::move(name)) {}
  ~ThreadActor() override {
    if (thread_.joinable()) thread_.join();
  }

  void start(std::function<void()> body) {
    thread_ = std::thread([this, body = std::move(body)]() mutable { run(std::move(body)); });
  }
  void wake() override {
    if (token_.exchange(kWoken) == kAsleep) {
      syscall(SYS_futex, &token_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }
  }
  void sleep(Nanoseconds deadline) override;
  void yield() override {
    std::this_thread::yield();
    throw_if_stopping();
  }
  const std::string& name() const override { return name_; }
  World& world() override;
  bool finished() const override { return finished_.load(); }

  void stop() {
    stopping_.store(true);
    wake();
    finished_.wait(false);
  }

 private:
  enum Token : uint32_t { kNothing, kWoken, kAsleep };
  static constexpr unsigned kSpins = 200;  // some microseconds: about what a futex wake costs

  void run(std::function<void()> body);
  void block(Nanoseconds deadline);
  void throw_if_stopping() const {
    // A destructor that waits while Stopped passes must not throw again.
    if (stopping_.load() && std::uncaught_exceptions() == 0) throw Stopped{};
  }

  ThreadedWorld& world_;
  std::string name_;
  std::atomic<uint32_t> token_{kNothing};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> finished_{false};
  std::thread thread_;
};

class ThreadedWorld final : public World {
 public:
  explicit ThreadedWorld(uint64_t seed) : World(seed), start_(monotonic()) {}
  ~ThreadedWorld() override {
    for (size_t i = 0;; ++i) {
      ThreadActor* actor = nullptr;
      {
        const std::lock_guard lock(mutex_);
        if (i >= actors_.size()) break;
        actor = actors_[i].get();
      }
      actor->stop();
    }
    actors_.clear();  // joins, while this object is still whole
  }

  Actor& spawn(std::string name, std::function<void()> body, Place place) override {
    auto actor = std::make_unique<ThreadActor>(*this, std::move(name), place);
    ThreadActor& started = *actor;
    const std::lock_guard lock(mutex_);
    actors_.push_back(std::move(actor));
    started.start(std::move(body));
    return started;
  }

  bool run_until(const std::function<bool()>& done, Nanoseconds budget) override {
    const Nanoseconds begin = now();
    timespec pause{.tv_sec = 0, .tv_nsec = 20'000};
    while (!done()) {
      rethrow();
      // Looked at first: what the last actor did before it ended still counts.
      const bool over = now() - begin >= budget || nobody_runs();
      if (over) return done();
      nanosleep(&pause, nullptr);
      pause.tv_nsec = std::min<long>(pause.tv_nsec * 2, 1'000'000);
    }
    rethrow();
    return true;
  }

  void stop(Actor& actor) override { static_cast<ThreadActor&>(actor).stop(); }
  Nanoseconds now() const override { return monotonic() - start_; }
  bool is_deterministic() const override { return false; }

  void fail(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
  }

 private:
  void rethrow() {
    std::exception_ptr failure;
    {
      const std::lock_guard lock(mutex_);
      failure = std::exchange(failure_, nullptr);
    }
    if (failure) std::rethrow_exception(failure);
  }
  bool nobody_runs() {
    const std::lock_guard lock(mutex_);
    return std::all_of(actors_.begin(), actors_.end(),
                       [](const auto& actor) { return actor->finished(); });
  }

  Nanoseconds start_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<ThreadActor>> actors_;
  std::exception_ptr failure_;
};

World& ThreadActor::world() { return world_; }

void ThreadActor::sleep(Nanoseconds deadline) {
  static const bool may_spin = std::thread::hardware_concurrency() > 1;
  for (unsigned i = 0; may_spin && i < kSpins && token_.load() == kNothing; ++i) relax();
  uint32_t expected = kNothing;
  if (!stopping_.load() && token_.compare_exchange_strong(expected, kAsleep)) block(deadline);
  token_.store(kNothing);
  throw_if_stopping();
}

void ThreadActor::block(Nanoseconds deadline) {
  while (token_.load() == kAsleep) {
    timespec timeout{};
    const timespec* limit = nullptr;
    if (deadline != platform::kForever) {
      const Nanoseconds now = world_.now();
      if (now >= deadline) return;
      timeout.tv_sec = static_cast<time_t>((deadline - now) / platform::kSecond);
      timeout.tv_nsec = static_cast<long>((deadline - now) % platform::kSecond);
      limit = &timeout;
    }
    syscall(SYS_futex, &token_, FUTEX_WAIT_PRIVATE, kAsleep, limit, nullptr, 0);
  }
}

void ThreadActor::run(std::function<void()> body) {
  set_current_actor(this);
  try {
    if (!stopping_.load()) body();
  } catch (const Stopped&) {
    // Asked for by stop().
  } catch (...) {
    world_.fail(std::current_exception());
  }
  body = nullptr;
  finished_.store(true);
  finished_.notify_all();
}

}  // namespace

std::unique_ptr<World> World::threaded(uint64_t seed) {
  return std::make_unique<ThreadedWorld>(seed);
}

}  // namespace ringside::sim
