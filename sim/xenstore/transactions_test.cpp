#include <gtest/gtest.h>

#include "sim/xenstore/test_client.hpp"

namespace ringside::sim::xenstore {
namespace {

class TransactionsTest : public testing::Test {
 protected:
  TransactionsTest() {
    dom0_.ask(XS_WRITE, "/a/x|1");
    dom0_.ask(XS_WRITE, "/a/y|1");
  }

  Server server_{{.nodes = 4}};
  TestClient dom0_{server_, 0};
  TestClient rival_{server_, 0};
};

TEST_F(TransactionsTest, ChangesShowAtTheEndOnly) {
  const uint32_t id = dom0_.begin();
  dom0_.ask(XS_WRITE, "/a/x|2", id);
  EXPECT_EQ(dom0_.ask(XS_READ, "/a/x|", id), "2");
  EXPECT_EQ(rival_.ask(XS_READ, "/a/x|"), "1");
  EXPECT_EQ(dom0_.ask(XS_TRANSACTION_END, "T|", id), "OK|");
  EXPECT_EQ(rival_.ask(XS_READ, "/a/x|"), "2");
  EXPECT_EQ(dom0_.ask(XS_READ, "/a/x|", id), "!ENOENT") << "the number is of no use any more";
}

TEST_F(TransactionsTest, SeesTheTreeAsItWas) {
  const uint32_t id = dom0_.begin();
  rival_.ask(XS_WRITE, "/a/x|9");
  EXPECT_EQ(dom0_.ask(XS_READ, "/a/x|", id), "1");
  EXPECT_EQ(dom0_.ask(XS_TRANSACTION_END, "T|", id), "!EAGAIN");
}

TEST_F(TransactionsTest, AbandonedChangesNeverHappened) {
  const uint32_t id = dom0_.begin();
  dom0_.ask(XS_RM, "/a|", id);
  EXPECT_EQ(dom0_.ask(XS_TRANSACTION_END, "F|", id), "OK|");
  EXPECT_EQ(dom0_.ask(XS_READ, "/a/x|"), "1");
}

TEST_F(TransactionsTest, ConflictsOverWhatWasReadOrWritten) {
  struct Case {
    uint32_t type;
    const char* inside;
    uint32_t rival_type;
    const char* outside;
    const char* end;
  };
  const Case cases[] = {
      {XS_READ, "/a/x|", XS_WRITE, "/a/x|2", "!EAGAIN"},
      {XS_READ, "/a/x|", XS_WRITE, "/a/y|2", "OK|"},
      {XS_WRITE, "/a/x|3", XS_WRITE, "/a/x|2", "!EAGAIN"},
      {XS_READ, "/a/new|", XS_WRITE, "/a/new|2", "!EAGAIN"},
      {XS_DIRECTORY, "/a|", XS_WRITE, "/a/newer|2", "!EAGAIN"},
      {XS_DIRECTORY, "/a|", XS_WRITE, "/a/y|3", "OK|"},
      {XS_MKDIR, "/a/mine|", XS_MKDIR, "/a/yours|", "!EAGAIN"},
      {XS_RM, "/a|", XS_WRITE, "/a/y|4", "!EAGAIN"},
      {XS_GET_PERMS, "/a/x|", XS_SET_PERMS, "/a/x|r0|", "!EAGAIN"},
      {XS_READ, "/a/y|", XS_RM, "/a/y|", "!EAGAIN"},
  };
  for (const Case& c : cases) {
    const uint32_t id = dom0_.begin();
    dom0_.ask(c.type, c.inside, id);
    rival_.ask(c.rival_type, c.outside);
    EXPECT_EQ(dom0_.ask(XS_TRANSACTION_END, "T|", id), c.end) << c.inside << c.outside;
  }
}

TEST_F(TransactionsTest, WatchesFireAtTheCommit) {
  rival_.ask(XS_WATCH, "/a|t|");
  rival_.events();
  const uint32_t id = dom0_.begin();
  dom0_.ask(XS_WRITE, "/a/x|2", id);
  dom0_.ask(XS_RM, "/a/y|", id);
  EXPECT_EQ(rival_.events(), "");
  dom0_.ask(XS_TRANSACTION_END, "T|", id);
  EXPECT_EQ(rival_.events(), "/a/x=t /a/y=t ");
}

TEST_F(TransactionsTest, BelongToOneConnection) {
  const uint32_t id = dom0_.begin();
  EXPECT_EQ(rival_.ask(XS_READ, "/a/x|", id), "!ENOENT");
  EXPECT_EQ(dom0_.ask(XS_TRANSACTION_START, "|", id), "!EBUSY");
  EXPECT_EQ(dom0_.ask(XS_TRANSACTION_END, "X|", id), "!EINVAL");
  EXPECT_EQ(dom0_.ask(XS_TRANSACTION_END, "T|"), "!ENOENT");
  EXPECT_EQ(dom0_.ask(XS_RESET_WATCHES, "|"), "OK|");
  EXPECT_EQ(dom0_.ask(XS_TRANSACTION_END, "T|", id), "!ENOENT");
}

TEST_F(TransactionsTest, TwoCannotShareAQuota) {
  dom0_.ask(XS_MKDIR, "/g|");
  dom0_.ask(XS_MKDIR, "/h|");
  dom0_.ask(XS_SET_PERMS, "/g|n5|");
  dom0_.ask(XS_SET_PERMS, "/h|n5|");
  TestClient guest(server_, 5);
  const uint32_t first = guest.begin();
  const uint32_t second = guest.begin();
  EXPECT_EQ(guest.ask(XS_MKDIR, "/g/1/2|", first), "OK|");
  EXPECT_EQ(guest.ask(XS_MKDIR, "/h/1/2|", second), "OK|");
  EXPECT_EQ(guest.ask(XS_TRANSACTION_END, "T|", first), "OK|");
  EXPECT_EQ(guest.ask(XS_TRANSACTION_END, "T|", second), "!ENOSPC");
}

}  // namespace
}  // namespace ringside::sim::xenstore
