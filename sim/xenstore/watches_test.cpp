#include "sim/xenstore/watches.hpp"

#include <gtest/gtest.h>

#include <string>

#include "sim/xenstore/test_client.hpp"

namespace ringside::sim::xenstore {
namespace {

class WatchesTest : public testing::Test {
 protected:
  WatchesTest() {
    dom0_.ask(XS_MKDIR, "/local/domain/5|");
    dom0_.ask(XS_SET_PERMS, "/local/domain/5|n5|");
  }
  void watch(TestClient& client, const std::string& payload) {
    EXPECT_EQ(client.ask(XS_WATCH, payload), "OK|");
    client.events();
  }

  Server server_;
  TestClient dom0_{server_, 0};
  TestClient guest_{server_, 5};
};

TEST_F(WatchesTest, FireOnceAtTheStart) {
  EXPECT_EQ(dom0_.ask(XS_WATCH, "/none/yet|t|"), "OK|");
  EXPECT_EQ(dom0_.events(), "/none/yet=t ");
  EXPECT_EQ(dom0_.ask(XS_WATCH, "/none/yet|t|"), "!EEXIST");
  EXPECT_EQ(dom0_.ask(XS_WATCH, "/none/yet|u|"), "OK|");
  EXPECT_EQ(dom0_.events(), "/none/yet=u ");
}

TEST_F(WatchesTest, TheFirstEventFollowsTheReply) {
  Message request;
  request.payload = std::string("/a\0t\0", 5);
  request.header = {XS_WATCH, 7, 0, 5};
  server_.handle(dom0_.connection(), request);
  EXPECT_EQ(server_.take(dom0_.connection())->header.type, XS_WATCH);
  const auto event = server_.take(dom0_.connection());
  EXPECT_EQ(event->header.type, XS_WATCH_EVENT);
  EXPECT_EQ(event->header.req_id, 0u);
  EXPECT_EQ(event->header.tx_id, 0u);
  EXPECT_EQ(event->payload, request.payload);
}

TEST_F(WatchesTest, CoverTheNodeAndAllBelow) {
  watch(dom0_, "/a|t|");
  dom0_.ask(XS_WRITE, "/a/b/c|1");
  EXPECT_EQ(dom0_.events(), "/a/b/c=t ");
  dom0_.ask(XS_SET_PERMS, "/a/b|r0|");
  EXPECT_EQ(dom0_.events(), "/a/b=t ");
  dom0_.ask(XS_MKDIR, "/a/b|");
  dom0_.ask(XS_READ, "/a/b|");
  dom0_.ask(XS_WRITE, "/ab|1");
  EXPECT_EQ(dom0_.events(), "");
}

TEST_F(WatchesTest, AParentsRemovalIsToldAsOwn) {
  dom0_.ask(XS_WRITE, "/a/b/c|1");
  watch(dom0_, "/a/b/c|t|");
  dom0_.ask(XS_RM, "/a|");
  EXPECT_EQ(dom0_.events(), "/a/b/c=t ");
}

TEST_F(WatchesTest, RelativeWatchesGetRelativePaths) {
  watch(guest_, "device|t|");
  dom0_.ask(XS_WRITE, "/local/domain/5/device/vif/0/state|1");
  EXPECT_EQ(guest_.events(), "device/vif/0/state=t ");
  EXPECT_EQ(guest_.ask(XS_UNWATCH, "device|t|"), "OK|");
  dom0_.ask(XS_RM, "/local/domain/5/device|");
  EXPECT_EQ(guest_.events(), "");
}

TEST_F(WatchesTest, TellNothingThatIsHidden) {
  watch(guest_, "/|t|");
  dom0_.ask(XS_WRITE, "/hidden/x|1");
  dom0_.ask(XS_RM, "/hidden|");
  EXPECT_EQ(guest_.events(), "");
  dom0_.ask(XS_WRITE, "/shown|1");
  dom0_.ask(XS_SET_PERMS, "/shown|n0|r5|");
  EXPECT_EQ(guest_.events(), "/shown=t ");
  dom0_.ask(XS_RM, "/shown|");
  EXPECT_EQ(guest_.events(), "/shown=t ") << "the end of a readable node is told";
}

TEST_F(WatchesTest, OneEventAlikeWaitsAtATime) {
  watch(dom0_, "/a|t|");
  for (int i = 0; i < 3; ++i) dom0_.ask(XS_WRITE, "/a|" + std::to_string(i));
  EXPECT_EQ(dom0_.events(), "/a=t ");
}

TEST_F(WatchesTest, UnwatchNamesPathAndToken) {
  watch(dom0_, "/a|t|");
  EXPECT_EQ(dom0_.ask(XS_UNWATCH, "/a|u|"), "!ENOENT");
  EXPECT_EQ(dom0_.ask(XS_UNWATCH, "/b|t|"), "!ENOENT");
  EXPECT_EQ(dom0_.ask(XS_UNWATCH, "/a|"), "!EINVAL");
  EXPECT_EQ(dom0_.ask(XS_UNWATCH, "/a|t|"), "OK|");
  dom0_.ask(XS_WRITE, "/a|1");
  EXPECT_EQ(dom0_.events(), "");
}

TEST_F(WatchesTest, ResetRemovesAll) {
  watch(dom0_, "/a|t|");
  watch(dom0_, "/b|t|");
  EXPECT_EQ(server_.watch_count(dom0_.connection()), 2u);
  EXPECT_EQ(dom0_.ask(XS_RESET_WATCHES, "|"), "OK|");
  EXPECT_EQ(server_.watch_count(dom0_.connection()), 0u);
}

TEST_F(WatchesTest, DomainsComingAndGoingAreToldToThePrivileged) {
  watch(dom0_, "@introduceDomain|i|");
  watch(dom0_, "@releaseDomain|r|");
  watch(guest_, "@releaseDomain|r|");
  server_.mark_introduced(7);
  EXPECT_EQ(dom0_.events(), "@introduceDomain=i ");
  server_.mark_released(7);
  EXPECT_EQ(dom0_.events(), "@releaseDomain=r ");
  EXPECT_EQ(guest_.events(), "");

  EXPECT_EQ(guest_.ask(XS_SET_PERMS, "@releaseDomain|n0|r5|"), "!EACCES");
  EXPECT_EQ(dom0_.ask(XS_SET_PERMS, "@releaseDomain|n0|r5|"), "OK|");
  EXPECT_EQ(dom0_.ask(XS_GET_PERMS, "@releaseDomain|"), "n0|r5|");
  server_.tell_release(5);
  EXPECT_EQ(guest_.events(), "@releaseDomain=r ");
}

TEST(WatchDepthTest, LimitsTheLevelsBelow) {
  Server server({}, nullptr, {.watch_depth = true});
  TestClient dom0(server, 0);
  EXPECT_EQ(dom0.ask(XS_WATCH, "/w|all|"), "OK|");
  EXPECT_EQ(dom0.ask(XS_WATCH, "/w|none|0|"), "OK|");
  EXPECT_EQ(dom0.ask(XS_WATCH, "/w|one|1|"), "OK|");
  EXPECT_EQ(dom0.ask(XS_WATCH, "/|root|1|"), "OK|");
  EXPECT_EQ(dom0.ask(XS_WATCH, "/w|bad|-1|"), "!EINVAL");
  EXPECT_EQ(dom0.ask(XS_WATCH, "/w|bad|x|"), "!EINVAL");
  dom0.events();
  dom0.ask(XS_WRITE, "/w|1");
  EXPECT_EQ(dom0.events(), "/w=all /w=none /w=one /w=root ");
  dom0.ask(XS_WRITE, "/w/a|1");
  EXPECT_EQ(dom0.events(), "/w/a=all /w/a=one ");
  dom0.ask(XS_WRITE, "/w/a/b|1");
  EXPECT_EQ(dom0.events(), "/w/a/b=all ");
}

TEST(WatchDepthTest, SpecialWatchesNameTheDomain) {
  Server server({}, nullptr, {.watch_depth = true});
  TestClient dom0(server, 0);
  EXPECT_EQ(dom0.ask(XS_WATCH, "@releaseDomain|plain|"), "OK|");
  EXPECT_EQ(dom0.ask(XS_WATCH, "@releaseDomain|deep|1|"), "OK|");
  EXPECT_EQ(dom0.ask(XS_WATCH, "@releaseDomain/5|five|"), "OK|");
  EXPECT_EQ(dom0.ask(XS_WATCH, "@releaseDomain|bad|2|"), "!EINVAL");
  dom0.events();
  server.tell_release(5);
  EXPECT_EQ(dom0.events(), "@releaseDomain=plain @releaseDomain/5=deep @releaseDomain/5=five ");
  server.tell_release(6);
  EXPECT_EQ(dom0.events(), "@releaseDomain=plain @releaseDomain/6=deep ");
}

TEST(WatchDepthTest, IsRefusedWhereItIsNotOffered) {
  Server server;
  TestClient dom0(server, 0);
  EXPECT_EQ(dom0.ask(XS_WATCH, "/w|tok|1|"), "!EINVAL");
}

}  // namespace
}  // namespace ringside::sim::xenstore
