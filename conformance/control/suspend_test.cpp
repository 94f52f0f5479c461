#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conformance/rig/migration.hpp"
#include "protocols/xenbus/suspend_agent.hpp"

namespace ringside::conformance {
namespace {

using xenbus::kNoTransaction;
using xenbus::SuspendOutcome;
using xenbus::SuspendPhase;

/// A guest with XENBUS and nothing else, suspended by its toolstack.
class SuspendTest : public testing::Test {
 protected:
  ~SuspendTest() override {
    guest_.run([this] { [[maybe_unused]] const auto last = std::exchange(agent_, {}); });
  }

  void start_agent() {
    guest_.run([this] { agent_ = *xenbus::SuspendAgent::create(guest_.services()); });
  }
  void restore_elsewhere() {
    restore(guest_, {}, [](uint16_t) {});
  }
  std::string home(std::string_view key) {
    return "/local/domain/" + std::to_string(guest_.domid()) + "/" + std::string(key);
  }
  std::string read(std::string_view key) {
    return host_.toolstack().read(home(key)).value_or("(absent)");
  }
  xenbus::Store& store() { return guest_.bus().store(); }

 public:
  void fired() { ++fires_; }

 protected:
  Host host_;
  DriverGuest guest_{host_, {.vcpus = 3}};
  platform::Box<xenbus::SuspendAgent> agent_;
  int fires_ = 0;
};

TEST_F(SuspendTest, CONTROL_001_ASuspendIsAcknowledgedAndAdvertisedAlsoAfterTheResume) {
  EXPECT_NE(read("control/feature-suspend"), "1");
  start_agent();
  EXPECT_EQ(read("control/feature-suspend"), "1");
  suspend(guest_);
  EXPECT_EQ(read("control/shutdown"), "");
  const uint16_t before = guest_.domid();
  restore_elsewhere();
  EXPECT_NE(guest_.domid(), before);
  EXPECT_EQ(read("control/feature-suspend"), "1");
  EXPECT_EQ(guest_.bus().suspend().count(), 1u);
  suspend(guest_);
  restore_elsewhere();
  EXPECT_EQ(guest_.bus().suspend().count(), 2u);
}

TEST_F(SuspendTest, CONTROL_001_WhatIsNotToSuspendIsLeftToOthers) {
  start_agent();
  for (const char* other : {"poweroff", "halt", "reboot", "s3", "s4", "Suspend", "suspend ", ""}) {
    host_.toolstack().request(guest_.domid(), other);
    host_.pass(platform::kSecond);
    EXPECT_EQ(read("control/shutdown"), other);
  }
  EXPECT_FALSE(guest_.domain().shutdown_reason().has_value());
}

TEST_F(SuspendTest, CONTROL_002_AMissingControlDirectoryHarmsNobody) {
  host_.toolstack().remove(home("control"));
  start_agent();
  host_.pass(platform::kSecond);
  EXPECT_EQ(read("control/shutdown"), "(absent)");
  // A toolstack that makes the node later is heard.
  host_.toolstack().write(home("control/shutdown"), "");
  host_.toolstack().store().set_permissions(home("control/shutdown"),
                                            {"n" + std::to_string(guest_.domid())});
  suspend(guest_);
  restore_elsewhere();
}

TEST_F(SuspendTest, CONTROL_007_ARequestThatFindsNoMemoryIsTakenLater) {
  start_agent();
  for (uint64_t n = 1; n <= 20; ++n) {
    SCOPED_TRACE(n);
    guest_.guest().fail_allocation_at(n);
    suspend(guest_);
    guest_.guest().fail_allocation_at(0);
    host_.toolstack().cancel_suspend(guest_.domid());
    host_.require("the guest to go on", [&] { return !guest_.bus().suspend().busy(); });
  }
}

TEST_F(SuspendTest, CONTROL_005_WhatTheBusNeedsComesBackAlsoWhenMemoryFails) {
  start_agent();
  for (uint64_t n = 1; n <= 20; ++n) {
    suspend(guest_);
    restore(guest_, {}, [&](uint16_t) { guest_.guest().fail_allocation_at(n); });
    guest_.guest().fail_allocation_at(0);
    Status status = Status::kTimedOut;
    guest_.run([&] { status = store().write(kNoTransaction, "data/back", std::to_string(n)); });
    EXPECT_EQ(status, Status::kOk) << "failed allocation " << n;
    EXPECT_EQ(read("data/back"), std::to_string(n));
  }
}

TEST_F(SuspendTest, CONTROL_003_ACancelledSuspendChangesNothing) {
  start_agent();
  Owned<xenbus::SuspendCallback> early;
  Owned<xenbus::SuspendCallback> late;
  Owned<xenbus::EventChannel> channel;
  Owned<xenbus::GrantCache> cache;
  Owned<xenbus::Watch> watch;
  platform::Page page;
  xenbus::GrantRef ref = 0;
  xenbus::Transaction transaction;
  const Delegate fired = Delegate::to<&SuspendTest::fired>(*this);
  guest_.run([&] {
    early = *guest_.bus().suspend().add(SuspendPhase::kEarly, fired);
    late = *guest_.bus().suspend().add(SuspendPhase::kLate, fired);
    channel = *guest_.services().events.open_unbound(0, {[](void*) {}, nullptr},
                                                     guest_.bus().events().cpus() - 1);
    cache = *guest_.services().grants.create_cache("kept", 1, 4);
    page = *guest_.platform().allocate_page();
    ref = *cache->permit(0, page.frame, xenbus::Access::kReadWrite);
    transaction = *store().begin();
    EXPECT_EQ(store().write(transaction, "data/kept", "yes"), Status::kOk);
  });
  suspend(guest_);
  const uint16_t before = guest_.domid();
  host_.toolstack().cancel_suspend(before);
  host_.require("the guest to go on", [&] { return !guest_.bus().suspend().busy(); });
  EXPECT_EQ(guest_.domid(), before);
  EXPECT_EQ(guest_.bus().suspend().count(), 0u);
  EXPECT_EQ(fires_, 0);
  EXPECT_TRUE(guest_.domain().events().open(channel->port()));
  const sim::GrantMap map = host_.machine().dom0().grants().map(before, ref, false);
  EXPECT_EQ(map.status, GNTST_okay);
  host_.machine().dom0().grants().unmap(map.handle);
  guest_.run([&] {
    EXPECT_EQ(store().commit(transaction), Status::kOk);
    EXPECT_EQ(store().read(kNoTransaction, "data/kept")->view(), "yes");
    EXPECT_EQ(cache->revoke(ref), Status::kOk);
    guest_.platform().release_page(page);
    cache.reset();
    channel.reset();
    early.reset();
    late.reset();
  });
}

/// Writes down when it was called.
struct Witness {
  void called() { calls->push_back(name); }
  std::vector<std::string>* calls;
  std::string name;
};

TEST_F(SuspendTest, CONTROL_004_EarlyCallbacksRunAloneThenLateOnesBothInOrder) {
  start_agent();
  std::vector<std::string> calls;
  Witness witnesses[] = {
      {&calls, "late 1"}, {&calls, "early 1"}, {&calls, "early 2"}, {&calls, "late 2"}};
  std::vector<Owned<xenbus::SuspendCallback>> kept;
  guest_.run([&] {
    for (Witness& witness : witnesses) {
      const bool late = witness.name.starts_with("late");
      kept.push_back(*guest_.bus().suspend().add(late ? SuspendPhase::kLate : SuspendPhase::kEarly,
                                                 Delegate::to<&Witness::called>(witness)));
    }
  });
  suspend(guest_);
  // While it is suspended, no CPU of the guest does anything.
  int ran = 0;
  for (unsigned cpu = 0; cpu < 3; ++cpu) guest_.guest().post(cpu, [&ran] { ++ran; });
  host_.pass(platform::kSecond);
  EXPECT_EQ(ran, 0);
  EXPECT_TRUE(calls.empty());
  restore_elsewhere();
  EXPECT_EQ(calls, (std::vector<std::string>{"early 1", "early 2", "late 1", "late 2"}));
  host_.require("the CPUs to go on", [&] { return ran == 3; });
  guest_.run([&] {
    kept.erase(kept.begin());
    calls.clear();
  });
  suspend(guest_);
  restore_elsewhere();
  EXPECT_EQ(calls, (std::vector<std::string>{"early 1", "early 2", "late 2"}));
  guest_.run([&] { kept.clear(); });
}

TEST_F(SuspendTest, CONTROL_005_GrantsAndChannelsOfTheFormerDomainAreLostAndHarmless) {
  start_agent();
  const unsigned cpus = guest_.bus().events().cpus();
  Owned<xenbus::GrantCache> cache;
  std::vector<Owned<xenbus::EventChannel>> lost;
  platform::Page page;
  xenbus::GrantRef ref = 0;
  guest_.run([&] {
    cache = *guest_.services().grants.create_cache("moving", 1, 600);
    page = *guest_.platform().allocate_page();
    ref = *cache->permit(0, page.frame, xenbus::Access::kReadWrite);
    for (unsigned cpu = 0; cpu < cpus; ++cpu) {
      lost.push_back(*guest_.services().events.open_unbound(0, {[](void*) {}, nullptr}, cpu));
    }
  });
  suspend(guest_);
  restore_elsewhere();
  EXPECT_NE(host_.machine().dom0().grants().map(guest_.domid(), ref, false).status, GNTST_okay);
  std::vector<Owned<xenbus::EventChannel>> fresh;
  guest_.run([&] {
    for (unsigned cpu = 0; cpu < cpus; ++cpu) {
      fresh.push_back(
          *guest_.services().events.open_unbound(0, Delegate::to<&SuspendTest::fired>(*this), cpu));
    }
    // The ports may be the same: what is left of the lost ones must not touch them.
    for (const auto& channel : lost) {
      channel->mask();
      channel->notify();
      EXPECT_FALSE(channel->unmask());
    }
    lost.clear();
    EXPECT_EQ(cache->revoke(ref), Status::kOk);
    EXPECT_NE(cache->revoke(ref), Status::kOk);
    ref = *cache->permit(0, page.frame, xenbus::Access::kReadWrite);
  });
  sim::EventChannels& dom0 = host_.machine().dom0().events();
  for (const auto& channel : fresh) {
    const int64_t port = dom0.bind_interdomain(guest_.domid(), channel->port());
    ASSERT_GT(port, 0);
    EXPECT_EQ(dom0.send(static_cast<sim::Port>(port)), 0);
  }
  host_.require("an event on each CPU", [&] { return fires_ >= static_cast<int>(cpus); });
  const sim::GrantMap map = host_.machine().dom0().grants().map(guest_.domid(), ref, false);
  EXPECT_EQ(map.status, GNTST_okay);
  host_.machine().dom0().grants().unmap(map.handle);
  guest_.run([&] {
    EXPECT_EQ(cache->revoke(ref), Status::kOk);
    guest_.platform().release_page(page);
    cache.reset();
    fresh.clear();
  });
}

TEST_F(SuspendTest, STORE_017_WatchesComeBackAndTransactionsEndWithAgain) {
  start_agent();
  Owned<xenbus::Watch> watch;
  xenbus::Transaction transaction;
  guest_.run([&] {
    watch = *store().watch("data/watched", Delegate::to<&SuspendTest::fired>(*this));
    transaction = *store().begin();
    EXPECT_EQ(store().write(transaction, "data/watched", "1"), Status::kOk);
  });
  suspend(guest_);
  restore_elsewhere();
  host_.pass(platform::kSecond);
  EXPECT_EQ(read("data/watched"), "(absent)");
  xenbus::Transaction other;
  guest_.run([&] {
    // The new connection counts from the start: the number is the same.
    other = *store().begin();
    EXPECT_EQ(other.id, transaction.id);
    EXPECT_EQ(store().write(transaction, "data/watched", "2"), Status::kAgain);
    EXPECT_EQ(store().read(transaction, "data/watched").status(), Status::kAgain);
    store().abort(transaction);
    EXPECT_EQ(store().commit(transaction), Status::kAgain);
    EXPECT_EQ(store().write(other, "data/other", "3"), Status::kOk);
    EXPECT_EQ(store().commit(other), Status::kOk);
  });
  EXPECT_EQ(read("data/other"), "3");
  fires_ = 0;
  host_.toolstack().write(home("data/watched"), "4");
  host_.require("the watch to fire", [&] { return fires_ > 0; });
  guest_.run([&] { watch.reset(); });
}

TEST_F(SuspendTest, STORE_017_RequestsUnderWayAreAskedAgainOrEndWithAgain) {
  start_agent();
  Status read = Status::kBusy;
  Status write = Status::kBusy;
  // xenstored takes its time, so that both are under way when the guest suspends.
  host_.xenstored().pause(host_.world().now() + 5 * platform::kSecond);
  guest_.guest().post(1, [&] { read = store().read(kNoTransaction, "data/there").status(); });
  guest_.guest().post(2, [&] { write = store().write(kNoTransaction, "data/new", "y"); });
  host_.pass(platform::kMillisecond);
  guest_.guest().post(0, [&] { (void)guest_.bus().suspend().trigger(); });
  host_.require("the guest to suspend",
                [&] { return guest_.domain().shutdown_reason() == SHUTDOWN_suspend; });
  restore(guest_, {}, [this](uint16_t) { host_.toolstack().write(home("data/there"), "x"); });
  host_.require("both to end", [&] { return read != Status::kBusy && write != Status::kBusy; });
  EXPECT_EQ(read, Status::kOk);
  EXPECT_EQ(write, Status::kAgain);
}

}  // namespace
}  // namespace ringside::conformance
