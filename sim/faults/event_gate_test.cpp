#include "sim/faults/event_gate.hpp"

#include <gtest/gtest.h>

#include "sim/faults/vandal.hpp"
#include "sim/machine/machine.hpp"

namespace ringside::sim {
namespace {

using platform::kSecond;

/// Two domains and a channel from `from_` to `to_`.
class FaultsTest : public testing::Test {
 protected:
  FaultsTest() {
    const auto unbound = to_.events().alloc_unbound(from_.id());
    port_ = static_cast<Port>(unbound);
    sender_ = static_cast<Port>(from_.events().bind_interdomain(to_.id(), port_));
    (void)to_.events().take_pending(port_);
  }
  ~FaultsTest() override {
    from_.events().close(sender_);
    to_.events().close(port_);
  }

  void pass(Nanoseconds span) {
    (void)world_->run_until([] { return false; }, span);
  }
  void send() { EXPECT_EQ(from_.events().send(sender_), 0); }
  bool pending() const { return to_.events().pending(port_); }
  bool told() const { return std::atomic_ref(to_.vcpu_info(0).evtchn_upcall_pending).load() != 0; }
  void acknowledge() {
    to_.vcpu_info(0).evtchn_upcall_pending = 0;
    to_.vcpu_info(0).evtchn_pending_sel = 0;
    (void)to_.events().take_pending(port_);
  }

  std::unique_ptr<World> world_ = World::deterministic(5);
  Machine machine_{*world_};
  Domain& from_ = machine_.create_domain();
  Domain& to_ = machine_.create_domain();
  // Keeps the world's time going.
  Actor& clock_ = world_->spawn("clock", [this] {
    for (;;) Actor::current()->sleep(world_->now() + 1000);
  });
  Port port_ = 0;
  Port sender_ = 0;
};

TEST_F(FaultsTest, ADelayedEventArrivesLaterAndOnce) {
  EventFaults faults(machine_);
  faults.begin({FaultKind::kEventDelay, 0, 100'000, 0, 50'000});
  send();
  EXPECT_FALSE(pending());
  EXPECT_GT(faults.release_due(), world_->now());
  pass(51'000);
  EXPECT_EQ(faults.release_due(), platform::kForever);
  EXPECT_TRUE(pending());
  EXPECT_TRUE(told());
  acknowledge();
  pass(60'000);
  send();
  EXPECT_TRUE(pending()) << "the span is over";
}

TEST_F(FaultsTest, MergedEventsArriveAsOneAtTheEndOfTheSpan) {
  EventFaults faults(machine_);
  faults.begin({FaultKind::kEventMerge, 0, 100'000, 0, 0});
  const Nanoseconds end = world_->now() + 100'000;
  for (int i = 0; i < 3; ++i) {
    send();
    pass(10'000);
  }
  EXPECT_FALSE(pending());
  EXPECT_EQ(faults.release_due(), end);
  pass(80'000);
  (void)faults.release_due();
  EXPECT_TRUE(pending());
  acknowledge();
  EXPECT_EQ(faults.release_due(), platform::kForever);
  EXPECT_FALSE(pending());
}

TEST_F(FaultsTest, ALostEventIsPendingAndToldOnlyAtTheEndOfTheSpan) {
  EventFaults faults(machine_);
  faults.begin({FaultKind::kEventLost, 0, 100'000, 0, 0});
  send();
  EXPECT_TRUE(pending());
  EXPECT_FALSE(told());
  pass(110'000);
  (void)faults.release_due();
  EXPECT_TRUE(told());
}

TEST_F(FaultsTest, WhatIsHeldArrivesWhenTheGateGoes) {
  {
    EventFaults faults(machine_);
    faults.begin({FaultKind::kEventMerge, 0, kSecond, 0, 0});
    send();
    EXPECT_FALSE(pending());
  }
  EXPECT_TRUE(pending());
}

TEST_F(FaultsTest, AHeldEventOfAClosedPortIsForgotten) {
  const auto other = static_cast<Port>(to_.events().alloc_unbound(from_.id()));
  const auto sender = static_cast<Port>(from_.events().bind_interdomain(to_.id(), other));
  EventFaults faults(machine_);
  faults.begin({FaultKind::kEventMerge, 0, 1000, 0, 0});
  EXPECT_EQ(from_.events().send(sender), 0);
  from_.events().close(sender);
  to_.events().close(other);
  pass(2000);
  (void)faults.release_due();
  EXPECT_FALSE(to_.events().pending(other));
}

TEST_F(FaultsTest, AVandalReachesWhatItMayWriteAndNothingElse) {
  const auto page = to_.allocate_pages();
  const auto kept = to_.allocate_pages();
  to_.grants().grow(1);
  to_.grants().permit(8, 0, page[0]);
  to_.grants().permit(9, 0, kept[0], /*read_only=*/true);
  const auto sum = [this](uint64_t gfn) {
    uint64_t all = 0;
    for (size_t i = 0; i < kPageSize; ++i) {
      all += std::to_integer<uint64_t>(to_.page_address(gfn)[i]);
    }
    return all;
  };
  Vandal vandal(machine_, to_.id());
  EXPECT_TRUE(vandal.tear(8));
  EXPECT_GT(sum(page[0]), 0u);
  EXPECT_TRUE(vandal.tear(8));
  EXPECT_EQ(sum(page[0]), 0u) << "as it was";
  EXPECT_TRUE(vandal.scribble(8));
  EXPECT_GT(sum(page[0]), 0u);
  EXPECT_FALSE(vandal.scribble(9));
  EXPECT_FALSE(vandal.scribble(10));
  EXPECT_EQ(sum(kept[0]), 0u);
  EXPECT_EQ(to_.grants().use_count(8), 0u);
  to_.grants().entry(8).flags = 0;
  to_.grants().entry(9).flags = 0;
  to_.release_pages(page);
  to_.release_pages(kept);
}

}  // namespace
}  // namespace ringside::sim
