#include "sim/xenstore/server.hpp"

#include <gtest/gtest.h>

#include <string>

#include "sim/xenstore/test_client.hpp"

namespace ringside::sim::xenstore {
namespace {

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    dom0_.ask(XS_MKDIR, "/local/domain/5|");
    dom0_.ask(XS_SET_PERMS, "/local/domain/5|n5|");
  }

  Server server_{{.nodes = 8, .node_size = 100, .watches = 3, .transactions = 2}};
  TestClient dom0_{server_, 0};
  TestClient guest_{server_, 5};
  TestClient other_{server_, 6};
};

TEST_F(ServerTest, WritesAndReadsAnyBytes) {
  const std::string value("a\0b\xff", 4);
  const Message reply = dom0_.send(XS_WRITE, std::string("/x/y\0", 5) + value);
  EXPECT_EQ(reply.header.type, XS_WRITE);
  EXPECT_EQ(reply.header.req_id, dom0_.last_id());
  EXPECT_EQ(reply.payload, std::string("OK\0", 3));
  EXPECT_EQ(dom0_.send(XS_READ, std::string("/x/y\0", 5)).payload, value);
  EXPECT_EQ(dom0_.ask(XS_READ, "/x|"), "") << "made on the way, without a value";
}

TEST_F(ServerTest, ListsChildrenAndTellsAnEmptyNodeFromAMissingOne) {
  dom0_.ask(XS_WRITE, "/d/b|1");
  dom0_.ask(XS_WRITE, "/d/a|2");
  EXPECT_EQ(dom0_.ask(XS_DIRECTORY, "/d|"), "a|b|");
  EXPECT_EQ(dom0_.ask(XS_DIRECTORY, "/d/a|"), "");
  EXPECT_EQ(dom0_.ask(XS_DIRECTORY, "/none|"), "!ENOENT");
}

TEST_F(ServerTest, LongListingsComeInParts) {
  for (int i = 0; i < 300; ++i) {
    dom0_.ask(XS_MKDIR, "/many/a-child-with-a-long-name-" + std::to_string(1000 + i) + "|");
  }
  EXPECT_EQ(dom0_.ask(XS_DIRECTORY, "/many|"), "!E2BIG");

  const Message first = dom0_.send(XS_DIRECTORY_PART, std::string("/many\0"
                                                                  "0\0",
                                                                  8));
  ASSERT_EQ(first.header.type, XS_DIRECTORY_PART);
  EXPECT_LE(first.payload.size(), XENSTORE_PAYLOAD_MAX);
  EXPECT_FALSE(first.payload.ends_with(std::string("\0\0", 2)));
  EXPECT_EQ(dom0_.ask(XS_DIRECTORY_PART, "/many|1000000|").substr(first.payload.find('\0')), "||");

  dom0_.ask(XS_RM, "/many/a-child-with-a-long-name-1001|");
  EXPECT_NE(dom0_
                .send(XS_DIRECTORY_PART, std::string("/many\0"
                                                     "0\0",
                                                     8))
                .payload.c_str(),
            std::string(first.payload.c_str()))
      << "the stamp tells that the list changed";
}

TEST_F(ServerTest, RemovesSubtreesAndForgivesMissingLeaves) {
  dom0_.ask(XS_WRITE, "/d/a/b|1");
  EXPECT_EQ(dom0_.ask(XS_RM, "/d/a|"), "OK|");
  EXPECT_EQ(dom0_.ask(XS_READ, "/d/a/b|"), "!ENOENT");
  EXPECT_EQ(dom0_.ask(XS_RM, "/d/a|"), "OK|");
  EXPECT_EQ(dom0_.ask(XS_RM, "/none/a|"), "!ENOENT");
  EXPECT_EQ(dom0_.ask(XS_RM, "/|"), "!EINVAL");
}

TEST_F(ServerTest, MkdirLeavesAnExistingNodeAlone) {
  dom0_.ask(XS_WRITE, "/d|kept");
  EXPECT_EQ(dom0_.ask(XS_MKDIR, "/d|"), "OK|");
  EXPECT_EQ(dom0_.ask(XS_READ, "/d|"), "kept");
}

TEST_F(ServerTest, RefusesMalformedPathsAndPayloads) {
  for (const char* path : {"/a//b|", "/a/|", "/a b|", "/a+|", "//|", "|", "/a", "/a|b|"}) {
    EXPECT_EQ(dom0_.ask(XS_READ, path), "!EINVAL") << path;
  }
  EXPECT_EQ(dom0_.ask(XS_WRITE, "/no-terminator"), "!EINVAL");
  EXPECT_EQ(dom0_.ask(XS_WRITE, "/" + std::string(XENSTORE_ABS_PATH_MAX, 'x') + "|"), "!EINVAL");
  EXPECT_EQ(dom0_.ask(XS_WRITE, std::string(XENSTORE_REL_PATH_MAX + 1, 'x') + "|"), "!EINVAL");
  EXPECT_EQ(dom0_.ask(XS_WRITE, std::string(XENSTORE_REL_PATH_MAX, 'x') + "|"), "OK|");
}

TEST_F(ServerTest, RelativePathsStartAtTheDomainsHome) {
  EXPECT_EQ(guest_.ask(XS_WRITE, "data/x|1"), "OK|");
  EXPECT_EQ(dom0_.ask(XS_READ, "/local/domain/5/data/x|"), "1");
}

TEST_F(ServerTest, UnknownTypesAreAnsweredByName) {
  EXPECT_EQ(dom0_.ask(XS_TYPE_COUNT, "|"), "!ENOSYS");
  EXPECT_EQ(dom0_.ask(XS_INVALID, "|"), "!ENOSYS");
  EXPECT_EQ(dom0_.ask(XS_WATCH_EVENT, "|"), "!ENOSYS");
}

TEST_F(ServerTest, PermissionsAreInheritedAndOwnedByTheCreator) {
  dom0_.ask(XS_SET_PERMS, "/local/domain/5|n5|r6|");
  guest_.ask(XS_WRITE, "a|1");
  dom0_.ask(XS_WRITE, "/local/domain/5/b|1");
  EXPECT_EQ(dom0_.ask(XS_GET_PERMS, "/local/domain/5/a|"), "n5|r6|");
  EXPECT_EQ(dom0_.ask(XS_GET_PERMS, "/local/domain/5/b|"), "n5|r6|");

  dom0_.ask(XS_MKDIR, "/shared|");
  dom0_.ask(XS_SET_PERMS, "/shared|b0|");
  guest_.ask(XS_MKDIR, "/shared/mine|");
  EXPECT_EQ(dom0_.ask(XS_GET_PERMS, "/shared/mine|"), "b5|");
}

TEST_F(ServerTest, PermissionsAreEnforced) {
  dom0_.ask(XS_WRITE, "/secret|1");
  dom0_.ask(XS_WRITE, "/shown|1");
  dom0_.ask(XS_SET_PERMS, "/shown|n0|r5|");
  EXPECT_EQ(guest_.ask(XS_READ, "/secret|"), "!EACCES");
  EXPECT_EQ(guest_.ask(XS_READ, "/missing|"), "!EACCES") << "nothing is said of what is hidden";
  EXPECT_EQ(guest_.ask(XS_READ, "/shown|"), "1");
  EXPECT_EQ(guest_.ask(XS_READ, "/shown/missing|"), "!ENOENT");
  EXPECT_EQ(guest_.ask(XS_WRITE, "/shown|2"), "!EACCES");
  EXPECT_EQ(guest_.ask(XS_WRITE, "/shown/new|2"), "!EACCES");
  EXPECT_EQ(guest_.ask(XS_RM, "/shown|"), "!EACCES");
  EXPECT_EQ(guest_.ask(XS_SET_PERMS, "/shown|b5|"), "!EACCES");
  EXPECT_EQ(guest_.ask(XS_SET_PERMS, "/local/domain/5|n6|"), "!EPERM") << "no giving away";
  EXPECT_EQ(other_.ask(XS_READ, "/shown|"), "!EACCES");
  EXPECT_EQ(dom0_.ask(XS_SET_PERMS, "/shown|q5|"), "!EINVAL");
  EXPECT_EQ(dom0_.ask(XS_SET_PERMS, "/shown|r5x|"), "!EINVAL");
}

TEST_F(ServerTest, QuotasBindGuestsOnly) {
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(guest_.ask(XS_MKDIR, std::to_string(i) + "|"), "OK|");
  }
  EXPECT_EQ(guest_.ask(XS_MKDIR, "one-more|"), "!ENOSPC");
  EXPECT_EQ(guest_.ask(XS_RM, "0|"), "OK|");
  EXPECT_EQ(guest_.ask(XS_MKDIR, "a/b|"), "!ENOSPC") << "counts ancestors too";
  EXPECT_EQ(guest_.ask(XS_MKDIR, "a|"), "OK|");
  EXPECT_EQ(server_.nodes_owned_by(5), 8u);

  // 24 and 8 for the one permission.
  EXPECT_EQ(guest_.ask(XS_WRITE, "a|" + std::string(67, 'v')), "OK|");
  EXPECT_EQ(guest_.ask(XS_WRITE, "a|" + std::string(68, 'v')), "!ENOSPC");
  EXPECT_EQ(guest_.ask(XS_RM, "1|"), "OK|");
  EXPECT_EQ(guest_.ask(XS_MKDIR, std::string(68, 'n') + "|"), "!ENOSPC") << "names count too";
  EXPECT_EQ(guest_.ask(XS_SET_PERMS, "a|n5|r1|"), "!ENOSPC") << "and permissions";
  EXPECT_EQ(dom0_.ask(XS_WRITE, "/big|" + std::string(3000, 'v')), "OK|");
  EXPECT_EQ(guest_.ask(XS_SET_PERMS, "a|n5|r1|r2|r3|r4|r6|"), "!ENOSPC");

  for (const char* token : {"1|", "2|", "3|", "4|"}) {
    EXPECT_EQ(guest_.ask(XS_WATCH, std::string("a|") + token), "OK|");
  }
  EXPECT_EQ(guest_.ask(XS_WATCH, "a|5|"), "!E2BIG");
  for (int i = 0; i < 3; ++i) guest_.begin();
  EXPECT_EQ(guest_.ask(XS_TRANSACTION_START, "|"), "!ENOSPC");
}

TEST_F(ServerTest, DomainRequestsAreDom0sAlone) {
  EXPECT_EQ(guest_.ask(XS_INTRODUCE, "7|1|1|"), "!EACCES");
  EXPECT_EQ(guest_.ask(XS_RELEASE, "6|"), "!EACCES");
  EXPECT_EQ(guest_.ask(XS_SET_TARGET, "5|6|"), "!EACCES");
  EXPECT_EQ(guest_.ask(XS_RESUME, "6|"), "!EACCES");
  EXPECT_EQ(dom0_.ask(XS_INTRODUCE, "0|1|1|"), "!EINVAL");
  EXPECT_EQ(dom0_.ask(XS_INTRODUCE, "7|"), "!EINVAL");
  EXPECT_EQ(dom0_.ask(XS_RELEASE, "7|"), "!ENOENT");
  EXPECT_EQ(dom0_.ask(XS_GET_DOMAIN_PATH, "7|"), "/local/domain/7|");
  EXPECT_EQ(dom0_.ask(XS_GET_DOMAIN_PATH, "x|"), "!EINVAL");
}

TEST_F(ServerTest, KnowsWhoIsIntroduced) {
  EXPECT_EQ(dom0_.ask(XS_IS_DOMAIN_INTRODUCED, "5|"), "F|");
  EXPECT_EQ(dom0_.ask(XS_RESUME, "5|"), "!ENOENT");
  server_.mark_introduced(5);
  EXPECT_EQ(dom0_.ask(XS_IS_DOMAIN_INTRODUCED, "5|"), "T|");
  EXPECT_EQ(dom0_.ask(XS_RESUME, "5|"), "OK|");
  EXPECT_EQ(dom0_.ask(XS_RELEASE, "5|"), "OK|");
  EXPECT_EQ(dom0_.ask(XS_IS_DOMAIN_INTRODUCED, "5|"), "F|");
  EXPECT_EQ(dom0_.ask(XS_GET_PERMS, "/local/domain/5|"), "!ENOENT") << "gone with its owner";
}

TEST_F(ServerTest, ATargetLendsItsRights) {
  guest_.ask(XS_WRITE, "mine|1");
  EXPECT_EQ(other_.ask(XS_READ, "/local/domain/5/mine|"), "!EACCES");
  server_.mark_introduced(6);
  EXPECT_EQ(dom0_.ask(XS_SET_TARGET, "6|5|"), "!ENOENT");
  server_.mark_introduced(5);
  EXPECT_EQ(dom0_.ask(XS_SET_TARGET, "6|5|"), "OK|");
  EXPECT_EQ(other_.ask(XS_READ, "/local/domain/5/mine|"), "1");
  server_.mark_released(5);
  dom0_.ask(XS_WRITE, "/later|1");
  dom0_.ask(XS_SET_PERMS, "/later|n5|");
  EXPECT_EQ(other_.ask(XS_READ, "/later|"), "!EACCES") << "the next domain 5 is another";
}

TEST_F(ServerTest, WhatADomainOwnedGoesWithIt) {
  server_.mark_introduced(5);
  dom0_.ask(XS_WRITE, "/shared/a/b|1");
  dom0_.ask(XS_SET_PERMS, "/shared/a|n5|");
  dom0_.ask(XS_WRITE, "/kept|1");
  dom0_.ask(XS_SET_PERMS, "/kept|n0|r5|b6|");
  dom0_.ask(XS_WATCH, "/shared|w|");
  EXPECT_EQ(dom0_.events(), "/shared=w ");
  EXPECT_EQ(dom0_.ask(XS_RELEASE, "5|"), "OK|");
  EXPECT_EQ(dom0_.events(), "/shared/a=w ");
  EXPECT_EQ(dom0_.ask(XS_READ, "/shared/a/b|"), "!ENOENT");
  EXPECT_EQ(dom0_.ask(XS_READ, "/shared|"), "");
  EXPECT_EQ(dom0_.ask(XS_GET_PERMS, "/kept|"), "n0|b6|");
  EXPECT_EQ(server_.nodes_owned_by(5), 0u);
}

TEST_F(ServerTest, QuotasAreSettings) {
  EXPECT_EQ(dom0_.ask(XS_CONTROL, "quota|set|watches|0|"), "OK|");
  EXPECT_EQ(guest_.ask(XS_WATCH, "a|1|"), "OK|");
  EXPECT_EQ(guest_.ask(XS_WATCH, "a|2|"), "!E2BIG");
  EXPECT_NE(dom0_.ask(XS_CONTROL, "quota|").find("watches: 0\n"), std::string::npos);
  EXPECT_EQ(dom0_.ask(XS_CONTROL, "quota|5|"), "!ENOENT");
  server_.mark_introduced(5);
  EXPECT_EQ(dom0_.ask(XS_CONTROL, "quota|5|"), "nodes: 1\n|");
  EXPECT_EQ(dom0_.ask(XS_CONTROL, "quota|set|nonsense|1|"), "!EINVAL");
  EXPECT_EQ(dom0_.ask(XS_CONTROL, "quota|set|nodes|x|"), "!EINVAL");
  EXPECT_EQ(dom0_.ask(XS_CONTROL, "nonsense|"), "!EINVAL");
  EXPECT_EQ(dom0_.ask(XS_CONTROL, "check|"), "OK|");
  EXPECT_NE(dom0_.ask(XS_CONTROL, "help|").find("quota"), std::string::npos);
  EXPECT_EQ(guest_.ask(XS_CONTROL, "check|"), "!EACCES");
}

}  // namespace
}  // namespace ringside::sim::xenstore
