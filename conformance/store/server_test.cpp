#include <gtest/gtest.h>

#include <string>

#include "conformance/rig/host.hpp"
#include "sim/xenstore/server.hpp"
#include "sim/xenstore/test_client.hpp"

namespace ringside::conformance {
namespace {

using sim::xenstore::Quotas;
using sim::xenstore::Server;
using sim::xenstore::TestClient;

/// The embedded store and three of its clients; what the daemons of Xen say to the same requests
/// is compared in conformance/daemons.
class StoreServerTest : public testing::Test {
 protected:
  StoreServerTest() {
    for (const char* domain : {"5", "6"}) {
      const std::string home = std::string("/local/domain/") + domain;
      dom0_.ask(XS_MKDIR, home + "|");
      dom0_.ask(XS_SET_PERMS, home + "|n" + domain + "|");
    }
    server_.mark_introduced(5);
    server_.mark_introduced(6);
  }

  Server server_{Quotas{.nodes = 4, .watches = 2, .transactions = 1}};
  TestClient dom0_{server_, 0};
  TestClient guest_{server_, 5};
  TestClient other_{server_, 6};
};

TEST_F(StoreServerTest, STORE_026_WhatADomainOwnsGoesWithIt) {
  guest_.ask(XS_WRITE, "a/b|1");
  dom0_.ask(XS_WRITE, "/local/domain/5/ours|1");
  dom0_.ask(XS_SET_PERMS, "/local/domain/5/ours|n0|");
  server_.mark_released(5);
  EXPECT_EQ(dom0_.ask(XS_READ, "/local/domain/5|"), "!ENOENT");
  EXPECT_EQ(dom0_.ask(XS_READ, "/local/domain/5/ours|"), "!ENOENT");
  EXPECT_EQ(dom0_.ask(XS_READ, "/local/domain/6|"), "");
}

TEST_F(StoreServerTest, STORE_027_PermissionsAreTheOwnersAndTheOwnerIsDom0s) {
  guest_.ask(XS_WRITE, "a|1");
  EXPECT_EQ(other_.ask(XS_SET_PERMS, "/local/domain/5/a|n6|"), "!EACCES");
  EXPECT_EQ(guest_.ask(XS_SET_PERMS, "a|n5|b6|"), "OK|");
  EXPECT_EQ(other_.ask(XS_WRITE, "/local/domain/5/a|2"), "OK|");
  EXPECT_EQ(other_.ask(XS_SET_PERMS, "/local/domain/5/a|n5|"), "!EACCES")
      << "writing is not owning";
  EXPECT_EQ(guest_.ask(XS_SET_PERMS, "a|n6|"), "!EPERM");
  EXPECT_EQ(dom0_.ask(XS_SET_PERMS, "/local/domain/5/a|n6|"), "OK|");
  EXPECT_EQ(guest_.ask(XS_READ, "a|"), "!EACCES");
}

TEST_F(StoreServerTest, STORE_028_SpecialWatchesAreForTheEntitled) {
  for (TestClient* client : {&dom0_, &guest_, &other_}) {
    client->ask(XS_WATCH, "@introduceDomain|in|");
    client->ask(XS_WATCH, "@releaseDomain|out|");
    client->events();
  }
  EXPECT_EQ(dom0_.ask(XS_SET_PERMS, "@releaseDomain|n0|r6|"), "OK|");
  server_.mark_introduced(7);
  server_.mark_introduced(7);
  EXPECT_EQ(dom0_.events(), "@introduceDomain=in ") << "once: the second only renews its ring";
  server_.mark_released(7);
  EXPECT_EQ(dom0_.events(), "@releaseDomain=out ");
  EXPECT_EQ(other_.events(), "@releaseDomain=out ");
  EXPECT_EQ(guest_.events(), "");
}

TEST_F(StoreServerTest, STORE_030_ATargetLendsItsRightsUntilItIsGone) {
  guest_.ask(XS_WRITE, "a|1");
  EXPECT_EQ(other_.ask(XS_WRITE, "/local/domain/5/a|2"), "!EACCES");
  EXPECT_EQ(dom0_.ask(XS_SET_TARGET, "6|7|"), "!ENOENT");
  EXPECT_EQ(dom0_.ask(XS_SET_TARGET, "6|5|"), "OK|");
  EXPECT_EQ(other_.ask(XS_WRITE, "/local/domain/5/a|2"), "OK|");
  server_.mark_released(5);
  dom0_.ask(XS_WRITE, "/local/domain/5/a|1");
  dom0_.ask(XS_SET_PERMS, "/local/domain/5/a|n5|");
  EXPECT_EQ(other_.ask(XS_WRITE, "/local/domain/5/a|2"), "!EACCES");
}

TEST_F(StoreServerTest, STORE_031_DomainsAreDom0sAffair) {
  EXPECT_EQ(guest_.ask(XS_INTRODUCE, "7|1|1|"), "!EACCES");
  EXPECT_EQ(guest_.ask(XS_RELEASE, "6|"), "!EACCES");
  EXPECT_EQ(guest_.ask(XS_RESUME, "6|"), "!EACCES");
  EXPECT_EQ(guest_.ask(XS_SET_TARGET, "5|6|"), "!EACCES");
  EXPECT_EQ(guest_.ask(XS_CONTROL, "quota|set|nodes|9|"), "!EACCES");
  EXPECT_EQ(server_.quotas().nodes, 4u);
}

TEST_F(StoreServerTest, STORE_032_WatchesKnowNoTransactionAndTransactionsDoNotNest) {
  EXPECT_EQ(guest_.ask(XS_WATCH, "a|t|", 77), "OK|");
  EXPECT_EQ(guest_.ask(XS_UNWATCH, "a|t|", 77), "OK|");
  EXPECT_EQ(guest_.ask(XS_READ, "a|", 77), "!ENOENT");
  const uint32_t begun = guest_.begin();
  EXPECT_EQ(guest_.ask(XS_TRANSACTION_START, "|", begun), "!EBUSY");
}

TEST(StoreServerDepthTest, STORE_033_ADepthLimitsAWatchWhereItIsOffered) {
  Server with({}, nullptr, {.watch_depth = true});
  TestClient dom0(with, 0);
  dom0.ask(XS_WATCH, "/w|one|1|");
  EXPECT_EQ(dom0.events(), "/w=one ");
  dom0.ask(XS_WRITE, "/w/a|1");
  EXPECT_EQ(dom0.events(), "/w/a=one ");
  dom0.ask(XS_WRITE, "/w/a/b|1");
  EXPECT_EQ(dom0.events(), "");

  Server without;
  TestClient plain(without, 0);
  EXPECT_EQ(plain.ask(XS_WATCH, "/w|one|1|"), "!EINVAL");
}

TEST_F(StoreServerTest, STORE_034_QuotasAreSettingsAndBindGuests) {
  for (const char* name : {"1", "2", "3"}) {
    EXPECT_EQ(guest_.ask(XS_MKDIR, std::string(name) + "|"), "OK|");
  }
  EXPECT_EQ(guest_.ask(XS_MKDIR, "4|"), "!ENOSPC");
  for (const char* token : {"1|", "2|", "3|"}) {
    EXPECT_EQ(guest_.ask(XS_WATCH, std::string("w|") + token), "OK|");
  }
  EXPECT_EQ(guest_.ask(XS_WATCH, "w|4|"), "!E2BIG");
  guest_.begin();
  guest_.begin();
  EXPECT_EQ(guest_.ask(XS_TRANSACTION_START, "|"), "!ENOSPC");
  EXPECT_EQ(guest_.ask(XS_WRITE, "1|" + std::string(2048, 'v')), "!ENOSPC");
  EXPECT_EQ(guest_.ask(XS_SET_PERMS, "1|n5|r1|r2|r3|r4|r7|"), "!ENOSPC");
  EXPECT_EQ(dom0_.ask(XS_CONTROL, "quota|set|nodes|5|"), "OK|");
  EXPECT_EQ(guest_.ask(XS_MKDIR, "4|"), "OK|");
  EXPECT_EQ(dom0_.ask(XS_WRITE, "/big|" + std::string(2048, 'v')), "OK|");
}

TEST(StoreResumeTest, STORE_029_AShutdownIsToldOnceUntilResume) {
  Host host;
  sim::Domain& domain = host.toolstack().create_domain();
  const auto dom0 = host.xenstored().connect(0);
  dom0->watch("@releaseDomain", "out");
  const auto told = [&] { return dom0->next_event().has_value(); };
  ASSERT_TRUE(told()) << "the first, at once";
  const auto announce = [&] { host.machine().dom0().events().raise_virq(VIRQ_DOM_EXC); };

  domain.set_shutdown(SHUTDOWN_suspend);
  announce();
  host.require("the shutdown", told);
  announce();
  host.pass(platform::kSecond);
  EXPECT_FALSE(told());

  std::string answer;
  const std::string number = std::to_string(domain.id()) + '\0';
  EXPECT_EQ(dom0->request(XS_RESUME, 0, number, answer), 0);
  announce();
  host.require("another shutdown", told);
  host.toolstack().destroy_domain(domain.id());
}

}  // namespace
}  // namespace ringside::conformance
