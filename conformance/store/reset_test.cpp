#include <gtest/gtest.h>

#include <string>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/store/played_store.hpp"
#include "protocols/xenbus/store_client.hpp"
#include "protocols/xenbus/suspend_agent.hpp"

namespace ringside::conformance {
namespace {

using xenbus::kNoTransaction;

/// A guest whose connection xenstored gives up.
class StoreResetTest : public testing::Test {
 protected:
  void watch_name() {
    guest_.run(
        [&] { watch_ = *store().watch("data/name", Delegate::to<&StoreResetTest::fired>(*this)); });
    host_.require("the watch's first event", [&] { return fires_ == 1; });
  }
  void unwatch() {
    guest_.run([&] { watch_.reset(); });
  }
  bool reset() { return host_.xenstored().reset_connection(guest_.domid()); }
  void change() { host_.toolstack().write(home() + "/data/name", "other"); }
  std::string home() { return "/local/domain/" + std::to_string(guest_.domid()); }
  xenbus::Store& store() { return guest_.bus().store(); }

 public:
  void fired() { ++fires_; }

 protected:
  Host host_;
  DriverGuest guest_{host_, {.vcpus = 3}};
  Owned<xenbus::Watch> watch_;
  int fires_ = 0;
};

TEST_F(StoreResetTest, STORE_036_WatchesAreRegisteredAgain) {
  watch_name();
  for (int round = 0; round < 3; ++round) {
    fires_ = 0;
    ASSERT_TRUE(reset());
    host_.require("news of what may have changed meanwhile", [&] { return fires_ == 1; });
    change();
    host_.require("the change", [&] { return fires_ == 2; });
  }
  unwatch();
  change();
  host_.pass(platform::kSecond);
  EXPECT_EQ(fires_, 2);
}

TEST_F(StoreResetTest, STORE_036_AlsoWhenMemoryIsShort) {
  watch_name();
  bool dry = true;
  guest_.guest().fail_allocations_if([&] { return dry; });
  ASSERT_TRUE(reset());
  host_.pass(platform::kSecond);
  EXPECT_EQ(fires_, 1);
  dry = false;
  host_.require("the watch's event", [&] { return fires_ == 2; });
  guest_.guest().fail_allocations_if({});
  unwatch();
}

TEST_F(StoreResetTest, STORE_036_WhatIsUnderWayIsAskedAgainOrEndsWithAgain) {
  Status read = Status::kBusy;
  Status write = Status::kBusy;
  Status watch = Status::kBusy;
  xenbus::Transaction transaction;
  guest_.run([&] {
    EXPECT_EQ(store().write(kNoTransaction, "data/name", "x"), Status::kOk);
    transaction = *store().begin();
    EXPECT_EQ(store().write(transaction, "data/other", "y"), Status::kOk);
  });
  host_.xenstored().pause(host_.world().now() + platform::kSecond);
  guest_.guest().post(0, [&] { read = store().read(kNoTransaction, "data/name").status(); });
  guest_.guest().post(1, [&] { write = store().write(kNoTransaction, "data/new", "z"); });
  guest_.guest().post(2, [&] {
    auto watched = store().watch("data/name", Delegate::to<&StoreResetTest::fired>(*this));
    watch = watched.status();
    if (watched) watch_ = *std::move(watched);
  });
  host_.pass(platform::kMillisecond);
  ASSERT_TRUE(reset());
  host_.require("all to end", [&] {
    return read != Status::kBusy && write != Status::kBusy && watch != Status::kBusy;
  });
  EXPECT_EQ(read, Status::kOk);
  EXPECT_EQ(write, Status::kAgain);
  EXPECT_EQ(watch, Status::kOk);
  host_.require("the watch's first event", [&] { return fires_ == 1; });
  guest_.run([&] {
    EXPECT_EQ(store().commit(transaction), Status::kAgain);
    EXPECT_EQ(store().read(kNoTransaction, "data/other").status(), Status::kNotFound);
  });
  unwatch();
}

TEST_F(StoreResetTest, CONTROL_008_ASuspendIsNotForgottenWhereverTheConnectionEnds) {
  platform::Box<xenbus::SuspendAgent> agent;
  guest_.run([&] { agent = *xenbus::SuspendAgent::create(guest_.services()); });
  for (sim::Nanoseconds at = 0; at < 60'000; at += 1'000) {
    host_.toolstack().request(guest_.domid(), "suspend");
    host_.pass(at);
    (void)reset();
    host_.require("the guest to suspend",
                  [&] { return guest_.domain().shutdown_reason() == SHUTDOWN_suspend; });
    host_.toolstack().cancel_suspend(guest_.domid());
    host_.require("the guest to go on", [&] { return !guest_.bus().suspend().busy(); });
  }
  guest_.run([&] { agent = {}; });
}

/// The same of a xenstored that means no good.
class GivenUpStoreTest : public PlayedStore {
 protected:
  /// Puts an error into the page, and grants the new connection that is asked for.
  void give_up_and_reopen() {
    std::atomic_ref(page_->error).store(XENSTORE_ERROR_COMM);
    notify();
    if (!run_until([&] { return std::atomic_ref(page_->connection).load() == XENSTORE_RECONNECT; }))
      return;
    ++reopened_;
    page_->req_prod = page_->req_cons = page_->rsp_prod = page_->rsp_cons = 0;
    std::atomic_ref(page_->error).store(XENSTORE_ERROR_NONE);
    std::atomic_ref(page_->connection).store(XENSTORE_CONNECTED);
    notify();
  }
  int reopened_ = 0;
};

TEST_F(GivenUpStoreTest, STORE_036_WhoNeverAnswersIsLeftAloneAfterSomeErrors) {
  page_->server_features = XENSTORE_SERVER_FEATURE_ERROR | XENSTORE_SERVER_FEATURE_RECONNECTION;
  ASSERT_EQ(start(), Status::kOk);
  run([&] { EXPECT_TRUE(store().read(kNoTransaction, "key")); });
  give_up_and_reopen();
  EXPECT_EQ(reopened_, 1);
  run([&] { EXPECT_TRUE(store().read(kNoTransaction, "key")); });
  constexpr int kMost = xenbus::StoreClient::kMostRestarts;
  for (int i = 0; i < kMost; ++i) give_up_and_reopen();
  EXPECT_EQ(reopened_, 1 + kMost);
  give_up_and_reopen();
  EXPECT_EQ(reopened_, 1 + kMost) << "it was not asked again";
  run([&] { EXPECT_EQ(store().read(kNoTransaction, "key").status(), Status::kClosed); });
}

}  // namespace
}  // namespace ringside::conformance
