#include "sim/guest/guest.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

namespace ringside::sim {
namespace {

using platform::kForever;
using platform::kMillisecond;
using platform::kSecond;

struct Kind {
  const char* name;
  std::unique_ptr<World> (*create)(uint64_t);
};

constexpr platform::Nanoseconds kBudget = 20 * kSecond;

class GuestTest : public testing::TestWithParam<Kind> {
 protected:
  bool run(std::function<void()> job, unsigned cpu = 0) {
    return guest_->run(cpu, std::move(job), kBudget);
  }
  platform::Platform& platform() { return guest_->platform(); }

  std::unique_ptr<World> world_ = GetParam().create(11);
  Machine machine_{*world_, {.frames = 2048}};
  Domain& domain_ = machine_.create_domain({.name = "guest", .vcpus = 2, .max_pages = 512});
  std::unique_ptr<Guest> guest_ = std::make_unique<Guest>(machine_, domain_);
};

/// Something a delegate can be bound to.
struct Counter {
  std::atomic<int> calls{0};
  platform::Event* event = nullptr;
  void count() {
    ++calls;
    if (event != nullptr) event->signal();
  }
};

TEST_P(GuestTest, JobsRunOnTheirCpu) {
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    unsigned seen = 99;
    EXPECT_TRUE(run([&] { seen = platform().cpu(); }, cpu));
    EXPECT_EQ(seen, cpu);
  }
}

TEST_P(GuestTest, AnExceptionOfAJobComesOut) {
  EXPECT_THROW(run([] { throw std::runtime_error("no"); }), std::runtime_error);
  EXPECT_TRUE(run([] {}));
}

TEST_P(GuestTest, AWaitTimesOut) {
  Status status = Status::kOk;
  EXPECT_TRUE(run([&] {
    auto event = *platform().create_event();
    status = platform().wait_until(*event, platform().now() + kMillisecond);
  }));
  EXPECT_EQ(status, Status::kTimedOut);
}

TEST_P(GuestTest, AWaitTakesTimersAndUpcallsMeanwhile) {
  Counter counter;
  EXPECT_TRUE(run([&] {
    auto event = *platform().create_event();
    counter.event = event.get();
    auto timer = *platform().create_timer(Delegate::to<&Counter::count>(counter), 0);
    timer->start(platform().now() + kMillisecond);
    EXPECT_EQ(platform().wait_until(*event, kForever), Status::kOk);
  }));
  EXPECT_EQ(counter.calls.load(), 1);
}

TEST_P(GuestTest, ACancelledTimerDoesNotRun) {
  Counter counter;
  EXPECT_TRUE(run([&] {
    auto event = *platform().create_event();
    auto timer = *platform().create_timer(Delegate::to<&Counter::count>(counter), 1);
    timer->start(platform().now() + 50 * kMillisecond);
    timer->cancel();
    EXPECT_EQ(platform().wait_until(*event, platform().now() + 100 * kMillisecond),
              Status::kTimedOut);
  }));
  EXPECT_EQ(counter.calls.load(), 0);
}

TEST_P(GuestTest, WorkQueuedTwiceRunsOnce) {
  Counter counter;
  EXPECT_TRUE(run([&] {
    auto event = *platform().create_event();
    auto work = *platform().create_work(Delegate::to<&Counter::count>(counter), 0);
    counter.event = event.get();
    work->queue();
    work->queue();
    EXPECT_EQ(platform().wait_until(*event, platform().now() + kBudget / 2), Status::kOk);
    event->reset();
    EXPECT_EQ(platform().wait_until(*event, platform().now() + kMillisecond), Status::kTimedOut);
  }));
  EXPECT_EQ(counter.calls.load(), 1);
}

/// A work item that waits for what another work item of the same vCPU signals.
struct Chain {
  platform::Platform& platform;
  platform::Event* first_may_end;
  platform::Event* all_done;
  int order = 0;
  int first_ended = 0;
  int second_ended = 0;
  void first() {
    EXPECT_EQ(platform.wait_until(*first_may_end, kForever), Status::kOk);
    first_ended = ++order;
    all_done->signal();
  }
  void second() {
    second_ended = ++order;
    first_may_end->signal();
  }
};

TEST_P(GuestTest, WhileAJobWaitsOthersOfItsCpuRun) {
  EXPECT_TRUE(run([&] {
    auto may_end = *platform().create_event();
    auto done = *platform().create_event();
    Chain chain{platform(), may_end.get(), done.get()};
    auto first = *platform().create_work(Delegate::to<&Chain::first>(chain), 0);
    auto second = *platform().create_work(Delegate::to<&Chain::second>(chain), 0);
    first->queue();
    second->queue();
    EXPECT_EQ(platform().wait_until(*done, kForever), Status::kOk);
    first->cancel();
    EXPECT_EQ(chain.second_ended, 1);
    EXPECT_EQ(chain.first_ended, 2);
  }));
  guest_.reset();
  EXPECT_EQ(machine_.audit(), std::vector<std::string>{});
}

TEST_P(GuestTest, CancelWaitsForWorkThatRuns) {
  std::atomic<bool> ended{false};
  struct Slow {
    platform::Platform& platform;
    platform::Event& begun;
    std::atomic<bool>& ended;
    void run() {
      auto never = *platform.create_event();
      begun.signal();
      EXPECT_EQ(platform.wait_until(*never, platform.now() + kMillisecond), Status::kTimedOut);
      ended = true;
    }
  };
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    ended = false;
    EXPECT_TRUE(run([&] {
      auto begun = *platform().create_event();
      Slow slow{platform(), *begun, ended};
      auto work = *platform().create_work(Delegate::to<&Slow::run>(slow), cpu);
      work->queue();
      EXPECT_EQ(platform().wait_until(*begun, kForever), Status::kOk);
      work->cancel();
      EXPECT_TRUE(ended.load());
    }));
  }
}

TEST_P(GuestTest, AnUpcallIsTakenForAnEvent) {
  struct Handler {
    Domain& domain;
    std::atomic<int> upcalls{0};
    void take() {
      vcpu_info_t& info = domain.vcpu_info(0);
      std::atomic_ref(info.evtchn_upcall_pending).store(0);
      std::atomic_ref(info.evtchn_pending_sel).store(0);
      ++upcalls;
    }
  };
  Handler handler{domain_};
  platform().set_upcall(0, Delegate::to<&Handler::take>(handler));
  domain_.set_upcall_vector(0, platform().upcall_vector(0));
  const int64_t port = domain_.events().alloc_unbound(0);
  const int64_t back =
      machine_.dom0().events().bind_interdomain(domain_.id(), static_cast<Port>(port));
  ASSERT_GT(back, 0);
  EXPECT_EQ(machine_.dom0().events().send(static_cast<Port>(back)), 0);
  EXPECT_TRUE(world_->run_until([&] { return handler.upcalls.load() == 1; }, kBudget));
  platform().set_upcall(0, {});
}

TEST_P(GuestTest, TheNthAllocationFails) {
  guest_->fail_allocation_at(2);
  EXPECT_TRUE(run([&] {
    void* first = platform().allocate(100);
    EXPECT_NE(first, nullptr);
    EXPECT_FALSE(platform().allocate_page());
    const auto third = platform().allocate_page();
    EXPECT_TRUE(third);
    platform().release_page(*third);
    platform().release(first);
  }));
}

TEST_P(GuestTest, WhatIsNotGivenBackIsFound) {
  EXPECT_TRUE(run([&] {
    (void)platform().allocate(40);
    (void)*platform().allocate_pages(3);
    (void)*platform().reserve_frames(2);
    (void)platform().create_event()->get();
  }));
  guest_.reset();
  const auto findings = machine_.audit();
  ASSERT_EQ(findings.size(), 3u);
  EXPECT_EQ(findings[0], "domain 1: allocation 1 of 40 bytes was not released");
  EXPECT_EQ(findings[1], "domain 1: 3 pages at gfn 3 were not released");
  EXPECT_EQ(findings[2], "domain 1: 2 reserved frames at 512 were not released");
}

TEST_P(GuestTest, PagesAreZeroedAndTheirMemoryIsContiguous) {
  EXPECT_TRUE(run([&] {
    for (int round = 0; round < 3; ++round) {
      const auto range = *platform().allocate_pages(4);
      for (const std::byte byte : range.bytes()) ASSERT_EQ(byte, std::byte{0});
      std::fill(range.bytes().begin(), range.bytes().end(), std::byte{0x5a});
      for (unsigned i = 0; i < 4; ++i) {
        EXPECT_EQ(domain_.page_address(range.frames[i]), range.address + i * platform::kPageSize);
      }
      platform().release_pages(range);
    }
  }));
}

TEST_P(GuestTest, AGuestEndsWithJobsThatWait) {
  platform::Platform& kernel = platform();
  std::atomic<bool> waiting{false};
  std::atomic<int> timed_out{0};
  for (unsigned i = 0; i < 3; ++i) {
    guest_->post(0, [&] {
      auto event = *kernel.create_event();
      waiting = true;
      if (kernel.wait_until(*event, kForever) == Status::kTimedOut) ++timed_out;
    });
  }
  EXPECT_TRUE(world_->run_until([&] { return waiting.load(); }, kBudget));
  EXPECT_TRUE(run([] {}));
  guest_.reset();
  EXPECT_EQ(timed_out.load(), 3);
}

TEST_P(GuestTest, AGuestEndsWithAJobThatNeverStopsWaiting) {
  platform::Platform& kernel = platform();
  std::atomic<bool> waiting{false};
  guest_->post(1, [&] {
    auto event = *kernel.create_event();
    waiting = true;
    while (kernel.wait_until(*event, kForever) != Status::kOk) {
    }
  });
  EXPECT_TRUE(world_->run_until([&] { return waiting.load(); }, kBudget));
  guest_.reset();
  EXPECT_EQ(machine_.audit(), std::vector<std::string>{});
}

TEST_P(GuestTest, LocksExcludeOtherCpus) {
  struct Shared {
    platform::Platform& platform;
    platform::Lock& lock;
    int value = 0;
    std::atomic<int> ended{0};
    void run() {
      for (int i = 0; i < 100; ++i) {
        const platform::LockGuard guard(lock);
        const int before = value;
        platform.yield();
        value = before + 1;
      }
      ++ended;
    }
  };
  auto lock = *platform().create_lock();
  Shared shared{platform(), *lock};
  guest_->post(0, [&] { shared.run(); });
  guest_->post(1, [&] { shared.run(); });
  EXPECT_TRUE(world_->run_until([&] { return shared.ended.load() == 2; }, kBudget));
  EXPECT_EQ(shared.value, 200);
}

TEST_P(GuestTest, SettingsAndLog) {
  guest_->set_setting("MaxQueues", 3);
  EXPECT_EQ(platform().setting("MaxQueues", 1), 3u);
  EXPECT_EQ(platform().setting("Other", 7), 7u);
  platform().log(platform::LogLevel::kWarning, "something");
  EXPECT_EQ(guest_->log(), std::vector<std::string>{"warning: something"});
}

TEST_P(GuestTest, AWaitFromOutsideDrivesTheWorld) {
  auto event = *platform().create_event();
  guest_->post(0, [&] { event->signal(); });
  EXPECT_EQ(platform().wait_until(*event, platform().now() + kBudget), Status::kOk);
}

INSTANTIATE_TEST_SUITE_P(Kinds, GuestTest,
                         testing::Values(Kind{"Deterministic", &World::deterministic},
                                         Kind{"Threaded", &World::threaded}),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace ringside::sim
