#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "conformance/daemons/dropin_host.hpp"
#include "conformance/daemons/store_host.hpp"
#include "conformance/rig/driver_guest.hpp"

namespace ringside::conformance {
namespace {

using xenbus::kNoTransaction;

/// The store client against the simulated xenstored, and over the same ring against Xen's own.
class StoreClientTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (GetParam() == std::string("embedded")) {
      simulated_ = std::make_unique<Host>();
    } else if (const auto why = chosen_xen_lacks(sim::XenFeature::kReservedGrants)) {
      GTEST_SKIP() << *why;
    } else {
      try {
        real_ = std::make_unique<DropinHost>(kXenstored);
      } catch (const NotInstalled& e) {
        GTEST_SKIP() << e.what();
      }
    }
    guest_ = std::make_unique<DriverGuest>(host());
  }
  void TearDown() override {
    if (!guest_) return;
    for (const std::string& leak : guest_->shut_down()) ADD_FAILURE() << leak;
    guest_.reset();
    for (const std::string& leak : real_ ? real_->audit() : host().audit()) ADD_FAILURE() << leak;
  }

  Host& host() { return real_ ? real_->host() : *simulated_; }
  DriverGuest& guest() { return *guest_; }
  xenbus::Store& store() { return guest().bus().store(); }
  std::string home(std::string_view key = "") {
    return "/local/domain/" + std::to_string(guest().domid()) + "/" + std::string(key);
  }
  /// The domain's own directory, where it may write.
  std::string data(std::string_view key) { return "data/" + std::string(key); }
  /// A place of the test's under the domain's data directory.
  std::string dom0_read(std::string_view key) {
    return host().toolstack().read(home(key)).value_or("(absent)");
  }
  void dom0_write(std::string_view key, std::string_view value) {
    host().toolstack().write(home(key), value);
  }

 public:
  void fired() { ++fires_; }

 protected:
  std::atomic<int> fires_ = 0;

 private:
  std::unique_ptr<Host> simulated_;
  std::unique_ptr<DropinHost> real_;
  std::unique_ptr<DriverGuest> guest_;
};

INSTANTIATE_TEST_SUITE_P(Daemons, StoreClientTest, testing::Values("embedded", "xenstored"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(StoreClientTest, STORE_010_ValuesMayBeEmptyOrHoldAnyByte) {
  const std::string bytes("a\0b\xff\n", 5);
  guest().run([&] {
    EXPECT_EQ(store().write(kNoTransaction, data("any"), bytes), Status::kOk);
    EXPECT_EQ(store().write(kNoTransaction, data("none"), ""), Status::kOk);
    EXPECT_EQ(store().read(kNoTransaction, data("any"))->view(), bytes);
    EXPECT_EQ(store().read(kNoTransaction, data("none"))->view(), "");
  });
  EXPECT_EQ(dom0_read("data/any"), bytes);
}

TEST_P(StoreClientTest, STORE_035_WhatWasDoneIsNotReportedAsNotDone) {
  guest().run([&] { EXPECT_EQ(store().write(kNoTransaction, data("x"), "0"), Status::kOk); });
  std::string last = "0";
  for (uint64_t n = 1; n <= 8; ++n) {
    Status status = Status::kOk;
    guest().run([&] {
      guest().guest().fail_allocation_at(n);
      status = store().write(kNoTransaction, data("x"), std::to_string(n));
      guest().guest().fail_allocation_at(0);
    });
    if (ok(status)) last = std::to_string(n);
    EXPECT_EQ(dom0_read("data/x"), last) << "failed allocation " << n;
  }
}

TEST_P(StoreClientTest, STORE_035_ATransactionThatCouldNotBeHandedOutIsEnded) {
  constexpr unsigned kMoreThanTheQuota = 40;
  guest().run([&] {
    for (unsigned i = 0; i < kMoreThanTheQuota; ++i) {
      guest().guest().fail_allocation_at(1 + i % 6);
      const auto transaction = store().begin();
      guest().guest().fail_allocation_at(0);
      if (transaction) store().abort(*transaction);
    }
    const auto transaction = store().begin();
    ASSERT_TRUE(transaction) << to_string(transaction.status());
    store().abort(*transaction);
  });
}

TEST_P(StoreClientTest, STORE_009_BadPathsNeverReachTheRing) {
  guest().run([&] {
    for (const char* bad : {"", "a//b", "a/", "a b", "a:b"}) {
      EXPECT_EQ(store().read(kNoTransaction, bad).status(), Status::kInvalidArgument) << bad;
      EXPECT_EQ(store().write(kNoTransaction, bad, "x"), Status::kInvalidArgument) << bad;
    }
  });
}

TEST_P(StoreClientTest, STORE_011_AListingMayBeEmptyMissingOrLongerThanAMessage) {
  std::set<std::string> names;
  for (int i = 0; i < 300; ++i) {
    names.insert("a-child-with-a-long-name-" + std::to_string(i));
    dom0_write("data/many/a-child-with-a-long-name-" + std::to_string(i), "");
  }
  dom0_write("data/leaf", "");
  guest().run([&] {
    EXPECT_EQ(store().directory(kNoTransaction, data("leaf"))->raw(), "");
    EXPECT_EQ(store().directory(kNoTransaction, data("nowhere")).status(), Status::kNotFound);
    const auto many = store().directory(kNoTransaction, data("many"));
    ASSERT_TRUE(many.ok()) << to_string(many.status());
    std::set<std::string> seen;
    for (std::string_view rest = many->raw(); !rest.empty();) {
      seen.emplace(xenbus::Listing::next(rest));
    }
    EXPECT_EQ(seen, names);
  });
}

TEST_P(StoreClientTest, STORE_012_RemovingWhatIsNotThereIsFineUnderAParentThatIs) {
  guest().run([&] {
    EXPECT_EQ(store().remove(kNoTransaction, data("never")), Status::kOk);
    EXPECT_EQ(store().remove(kNoTransaction, data("never/ever")), Status::kNotFound);
  });
}

TEST_P(StoreClientTest, STORE_013_WritesMakeTheParentsTheyNeed) {
  guest().run([&] {
    EXPECT_EQ(store().write(kNoTransaction, data("a/b/c"), "1"), Status::kOk);
    EXPECT_EQ(store().make_directory(kNoTransaction, data("d/e")), Status::kOk);
    EXPECT_EQ(store().read(kNoTransaction, data("a/b"))->view(), "");
    EXPECT_EQ(store().read(kNoTransaction, data("d"))->view(), "");
    EXPECT_EQ(store().make_directory(kNoTransaction, data("d/e")), Status::kOk);
  });
}

TEST_P(StoreClientTest, STORE_014_AWatchFiresOnceAtTheStartAndAtEachChangeBelow) {
  Owned<xenbus::Watch> watch;
  guest().run([&] {
    watch = *store().watch(data("watched"), Delegate::to<&StoreClientTest::fired>(*this));
  });
  host().require("the first event", [&] { return fires_ >= 1; });
  const int before = fires_;
  dom0_write("data/watched/deep/down", "1");
  host().require("the change", [&] { return fires_ > before; });
  guest().run([&] { watch.reset(); });
}

TEST_P(StoreClientTest, STORE_015_NoDelegateIsCalledAfterItsWatchIsGone) {
  guest().run([&] {
    for (int i = 0; i < 20; ++i) {
      auto watch = *store().watch(data("watched"), Delegate::to<&StoreClientTest::fired>(*this));
      (void)store().write(kNoTransaction, data("watched"), "x");
      watch.reset();
      const int before = fires_;
      (void)store().write(kNoTransaction, data("watched"), "y");
      EXPECT_EQ(fires_, before);
    }
  });
  const int before = fires_;
  host().pass(platform::kSecond);
  EXPECT_EQ(fires_, before);
}

TEST_P(StoreClientTest, STORE_016_AConflictIsKAgainAndLeavesNothing) {
  dom0_write("data/counter", "1");
  guest().run([&] {
    const auto transaction = *store().begin();
    EXPECT_EQ(store().read(transaction, data("counter"))->view(), "1");
    dom0_write("data/counter", "2");
    EXPECT_EQ(store().write(transaction, data("counter"), "mine"), Status::kOk);
    EXPECT_EQ(store().commit(transaction), Status::kAgain);
    EXPECT_EQ(store().read(kNoTransaction, data("counter"))->view(), "2");
    EXPECT_FALSE(ok(store().commit(transaction))) << "its number is no longer good";
  });
}

TEST_P(StoreClientTest, STORE_016_CommitShowsAllAndAbortNothing) {
  guest().run([&] {
    const auto kept = *store().begin();
    EXPECT_EQ(store().write(kept, data("one"), "1"), Status::kOk);
    EXPECT_EQ(store().write(kept, data("two"), "2"), Status::kOk);
    EXPECT_EQ(dom0_read("data/one"), "(absent)");
    EXPECT_EQ(store().commit(kept), Status::kOk);
    const auto dropped = *store().begin();
    EXPECT_EQ(store().write(dropped, data("one"), "changed"), Status::kOk);
    store().abort(dropped);
  });
  EXPECT_EQ(dom0_read("data/one"), "1");
  EXPECT_EQ(dom0_read("data/two"), "2");
}

TEST_P(StoreClientTest, STORE_018_AQuotaIsAnAnswerAndNotTheEnd) {
  guest().run([&] {
    const std::string too_much(3000, 'x');
    EXPECT_EQ(store().write(kNoTransaction, data("big"), too_much), Status::kNoResources);
    std::vector<xenbus::Transaction> open;
    Status status = Status::kOk;
    while (ok(status) && open.size() < 100) {
      const auto one = store().begin();
      status = one.status();
      if (one) open.push_back(*one);
    }
    EXPECT_EQ(status, Status::kNoResources);
    for (const auto& one : open) store().abort(one);
    EXPECT_EQ(store().write(kNoTransaction, data("small"), "x"), Status::kOk);
  });
}

TEST_P(StoreClientTest, STORE_024_RemovalOfAParentFiresTheWatchBelow) {
  dom0_write("data/parent/child", "1");
  Owned<xenbus::Watch> watch;
  guest().run([&] {
    watch = *store().watch(data("parent/child"), Delegate::to<&StoreClientTest::fired>(*this));
  });
  host().require("the first event", [&] { return fires_ >= 1; });
  const int before = fires_;
  host().toolstack().remove(home("data/parent"));
  host().require("the removal", [&] { return fires_ > before; });
  guest().run([&] { watch.reset(); });
}

TEST_P(StoreClientTest, PermissionsAreSetAndKept) {
  dom0_write("private", "secret");
  guest().run([&] {
    EXPECT_EQ(store().write(kNoTransaction, home("private"), "x"), Status::kAccessDenied);
    const xenbus::Permission permissions[] = {
        {.domain = guest().domid(), .mode = xenbus::Permission::Mode::kNone},
        {.domain = 0, .mode = xenbus::Permission::Mode::kRead}};
    EXPECT_EQ(store().write(kNoTransaction, data("mine"), "x"), Status::kOk);
    EXPECT_EQ(store().set_permissions(kNoTransaction, data("mine"), permissions), Status::kOk);
    EXPECT_EQ(store().set_permissions(kNoTransaction, data("gone"), permissions),
              Status::kNotFound);
  });
}

TEST_P(StoreClientTest, ManyCallersAtOnceEachGetTheirOwnAnswer) {
  constexpr int kCallers = 12;
  std::atomic<int> done = 0;
  for (int i = 0; i < kCallers; ++i) {
    guest().guest().post(0, [&, i] {
      const std::string key = data("caller-" + std::to_string(i));
      for (int round = 0; round < 20; ++round) {
        const std::string value = std::to_string(i) + ":" + std::to_string(round);
        EXPECT_EQ(store().write(kNoTransaction, key, value), Status::kOk);
        EXPECT_EQ(store().read(kNoTransaction, key)->view(), value);
      }
      ++done;
    });
  }
  host().require("all callers", [&] { return done == kCallers; });
}

}  // namespace
}  // namespace ringside::conformance
