#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conformance/rig/migration.hpp"
#include "protocols/xenbus/balloon_agent.hpp"
#include "protocols/xenbus/suspend_agent.hpp"

namespace ringside::conformance {
namespace {

constexpr uint64_t kMemoryKib = 65536;
constexpr uint64_t kPages = kMemoryKib / 4;

/// Makes memory_op answer less than asked for.
class Stingy final : public DriverGuest::Interposer, private xenbus::Hypercall {
 public:
  void enter(sim::Guest&) override {}
  xenbus::Hypercall& hypercall(xenbus::Hypercall& real) override {
    real_ = &real;
    return *this;
  }
  xenbus::Services services(const xenbus::Services& real) override { return real; }

  uint64_t most = ~uint64_t{0};  ///< extents of one call
  int64_t lie = 0;               ///< added to the answer
  unsigned calls = 0;

 private:
  int64_t call(unsigned number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
               uint64_t a5) override {
    const bool moves = number == __HYPERVISOR_memory_op &&
                       (a1 == XENMEM_decrease_reservation || a1 == XENMEM_populate_physmap);
    if (!moves) return real_->call(number, a1, a2, a3, a4, a5);
    ++calls;
    auto op = *reinterpret_cast<xen_memory_reservation_t*>(a2);
    op.nr_extents = std::min<uint64_t>(op.nr_extents, most);
    return real_->call(number, a1, reinterpret_cast<uint64_t>(&op), a3, a4, a5) + lie;
  }

  xenbus::Hypercall* real_ = nullptr;
};

class BalloonTest : public testing::Test {
 protected:
  BalloonTest() { open_control(guest_.domid()); }
  ~BalloonTest() override { stop(); }

  /// As xenopsd does, and xl does not.
  void open_control(uint16_t domid) {
    const std::string home = "/local/domain/" + std::to_string(domid);
    host_.toolstack().store().set_permissions(home + "/control", {"n" + std::to_string(domid)});
  }

  void start() {
    guest_.run([this] {
      suspend_agent_ = *xenbus::SuspendAgent::create(guest_.services());
      agent_ = *xenbus::BalloonAgent::create(guest_.services(), guest_.bus().balloon());
    });
  }
  void stop() {
    guest_.run([this] {
      agent_ = {};
      suspend_agent_ = {};
    });
  }
  std::string read(const std::string& key) {
    const std::string home = "/local/domain/" + std::to_string(guest_.domid()) + "/";
    return host_.toolstack().read(home + key).value_or("(absent)");
  }
  void set_target(uint64_t kib) { host_.toolstack().set_memory_target(guest_.domid(), kib); }
  uint64_t size() { return guest_.bus().balloon().size(); }
  void await_promise() {
    host_.require("the promise", [&] { return read("control/feature-balloon") == "1"; });
  }
  void await_size(uint64_t pages) {
    host_.require("the balloon to be of its size",
                  [&] { return size() == pages && read("control/balloon-active") != "1"; });
  }

  Host host_;
  Stingy stingy_;
  DriverGuest guest_{host_, {.vcpus = 2, .memory_kib = kMemoryKib}, &stingy_};
  const uint32_t all_ = guest_.domain().populated_pages();
  platform::Box<xenbus::SuspendAgent> suspend_agent_;
  platform::Box<xenbus::BalloonAgent> agent_;
};

TEST_F(BalloonTest, MEMORY_001_TheTargetIsFollowedDownAndUp) {
  start();
  await_promise();
  for (const uint64_t left : {kMemoryKib * 3 / 4, kMemoryKib / 2, kMemoryKib / 2 + 4,
                              kMemoryKib - 4, kMemoryKib / 2, kMemoryKib}) {
    set_target(left);
    await_size((kMemoryKib - left) / 4);
    EXPECT_EQ(guest_.domain().populated_pages() + size(), all_);
  }
  set_target(kMemoryKib / 2);
  await_size(kPages / 2);
  stop();
  EXPECT_EQ(read("control/feature-balloon"), "0");
  EXPECT_EQ(guest_.shut_down(), std::vector<std::string>{});
  EXPECT_EQ(guest_.guest().log().back(),
            "error: pages that Xen does not give back: " + std::to_string(kPages / 2 - 256))
      << "all but the slack that the toolstack leaves";
}

TEST_F(BalloonTest, MEMORY_001_VideoMemoryIsNotTheGuests) {
  const std::string home = "/local/domain/" + std::to_string(guest_.domid()) + "/";
  host_.toolstack().write(home + "memory/videoram", "8192");
  set_target(kMemoryKib - 8192 - 4096);
  start();
  await_size(1024);
}

TEST_F(BalloonTest, MEMORY_001_WithoutATargetThereIsNoPromise) {
  const std::string home = "/local/domain/" + std::to_string(guest_.domid()) + "/";
  for (const char* value : {"", "much", "12x", "-4", "99999999999999999999999"}) {
    host_.toolstack().write(home + "memory/target", value);
    start();
    host_.pass(platform::kSecond);
    EXPECT_NE(read("control/feature-balloon"), "1") << value;
    EXPECT_EQ(size(), 0u);
    stop();
  }
  host_.toolstack().remove(home + "memory/target");
  start();
  host_.pass(platform::kSecond);
  EXPECT_EQ(size(), 0u);
}

TEST_F(BalloonTest, MEMORY_002_APartOfTheExtentsIsAPartOfTheBalloon) {
  stingy_.most = 7;
  start();
  set_target(kMemoryKib - 400);
  await_size(100);
  EXPECT_GE(stingy_.calls, 15u);
  EXPECT_EQ(guest_.domain().populated_pages() + size(), all_);
  set_target(kMemoryKib);
  await_size(0);
  EXPECT_EQ(guest_.domain().populated_pages(), all_);
}

TEST_F(BalloonTest, MEMORY_002_MoreThanWasAskedForIsNotBelieved) {
  stingy_.lie = 1'000'000;
  start();
  set_target(kMemoryKib - 4000);
  await_size(1000);
  EXPECT_EQ(guest_.domain().populated_pages() + size(), all_);
}

TEST_F(BalloonTest, MEMORY_003_WhatXenHasNoMemoryForIsTriedAgainLessAndLessOften) {
  start();
  set_target(kMemoryKib / 2);
  await_size(kPages / 2);
  const uint64_t some = 100;
  guest_.domain().set_max_pages(guest_.domain().populated_pages() + some);
  host_.toolstack().write("/local/domain/" + std::to_string(guest_.domid()) + "/memory/target",
                          std::to_string(kMemoryKib));
  host_.require("what Xen has", [&] { return size() == kPages / 2 - some; });
  stingy_.calls = 0;
  host_.pass(300 * platform::kSecond);
  EXPECT_EQ(read("control/balloon-active"), "1");
  EXPECT_GE(stingy_.calls, 5u);
  EXPECT_LE(stingy_.calls, 20u);
  guest_.domain().set_max_pages(all_ + 1);
  await_size(0);
}

TEST_F(BalloonTest, MEMORY_004_AGuestThatIsLowOnMemoryGivesNoneAway) {
  start();
  guest_.guest().set_low_memory(2 * kPages);
  set_target(kMemoryKib / 2);
  host_.pass(30 * platform::kSecond);
  EXPECT_EQ(size(), 0u);
  EXPECT_EQ(read("control/balloon-active"), "1");
  guest_.guest().set_low_memory(kPages / 2 + 1000);
  host_.require(
      "some", [&] { return size() > kPages / 4; }, 60 * platform::kSecond);
  EXPECT_LT(size(), kPages / 2);
  guest_.guest().set_low_memory(0);
  await_size(kPages / 2);
}

TEST_F(BalloonTest, MEMORY_005_TheToolstackSeesWhenItIsOver) {
  start();
  std::vector<std::string> seen;
  set_target(kMemoryKib / 2);
  host_.require("the balloon", [&] {
    const std::string value = read("control/balloon-active");
    if (seen.empty() || seen.back() != value) seen.push_back(value);
    EXPECT_TRUE(value != "0" || size() == kPages / 2);
    return value == "0";
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"(absent)", "1", "0"}));
}

TEST_F(BalloonTest, MEMORY_006_NoPageMovesWhileTheDomainIsSuspended) {
  start();
  stingy_.most = 1;
  set_target(kMemoryKib / 2);
  host_.require("a beginning", [&] { return size() > 0; });
  suspend(guest_);
  const uint64_t then = size();
  EXPECT_LT(then, kPages / 2);
  host_.pass(10 * platform::kSecond);
  EXPECT_EQ(size(), then);
  host_.toolstack().cancel_suspend(guest_.domid());
  await_size(kPages / 2);
}

TEST_F(BalloonTest, MEMORY_007_TheNextHostHasItsOwnTarget) {
  start();
  set_target(kMemoryKib / 2);
  await_size(kPages / 2);
  suspend(guest_);
  restore(guest_, {}, [this](uint16_t domid) { open_control(domid); }, {.memory_kib = kMemoryKib});
  await_promise();
  guest_.domain().set_max_pages(all_ + 256);
  await_size(0);  // memory/target of the new domain is all it may have
  EXPECT_EQ(guest_.domain().populated_pages(), all_);
  set_target(kMemoryKib - 4096);
  await_size(1024);
}

TEST_F(BalloonTest, MEMORY_003_FailingAllocationsCostTimeOnly) {
  start();
  for (uint64_t n = 1; n <= 12; ++n) {
    guest_.guest().fail_allocation_at(n);
    set_target(kMemoryKib - n * 1024);
    await_size(n * 256);
  }
  guest_.guest().fail_allocation_at(0);
  EXPECT_EQ(guest_.domain().populated_pages() + size(), all_);
}

}  // namespace
}  // namespace ringside::conformance
