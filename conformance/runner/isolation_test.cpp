#include "conformance/runner/isolation.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "conformance/runner/child.hpp"

namespace ringside::conformance {
namespace {

/// Tests that misbehave. They only do so when the runner under test asks for it: in the
/// process of this program's own run they have nothing to do.
bool asked_for() { return std::getenv("RINGSIDE_MISBEHAVE") != nullptr; }

TEST(MisbehavingTest, A_Passes) { EXPECT_EQ(1 + 1, 2); }
TEST(MisbehavingTest, B_Crashes) {
  if (asked_for()) std::abort();
}
TEST(MisbehavingTest, C_Fails) {
  if (!asked_for()) return;
  std::puts("a word before the end");
  FAIL() << "as asked";
}
TEST(MisbehavingTest, D_Hangs) {
  while (asked_for()) sleep(1);
}
TEST(MisbehavingTest, E_CallsTheBenchBroken) {
  if (!asked_for()) return;
  RecordProperty(kOutcomeProperty, "ERROR");
  FAIL() << "no memory";
}
TEST(MisbehavingTest, F_EndsTheProcess) {
  if (asked_for()) std::_Exit(7);
}
TEST(MisbehavingTest, G_PassesAfterAll) { EXPECT_EQ(1 + 1, 2); }

class IsolationTest : public testing::Test {
 protected:
  void SetUp() override { setenv("RINGSIDE_MISBEHAVE", "1", 1); }
  void TearDown() override { unsetenv("RINGSIDE_MISBEHAVE"); }
};

TEST_F(IsolationTest, OneBadTestCostsItsOwnResultAndNoOther) {
  std::vector<TestCase> tests;
  for (TestCase& test : registered_tests()) {
    if (test.suite == "MisbehavingTest") tests.push_back(std::move(test));
  }
  ASSERT_EQ(tests.size(), 7u);
  IsolationOptions options;
  options.timeout_seconds = 1;
  const auto records = run_isolated(tests, options);
  ASSERT_EQ(records.size(), 7u);
  EXPECT_EQ(records[0].outcome, Outcome::kSuccess);
  EXPECT_EQ(records[1].outcome, Outcome::kCrash);
  EXPECT_NE(records[1].message.find("signal 6"), std::string::npos);
  EXPECT_EQ(records[2].outcome, Outcome::kFailure);
  EXPECT_NE(records[2].message.find("as asked"), std::string::npos);
  EXPECT_NE(records[2].output.find("a word before the end"), std::string::npos);
  EXPECT_EQ(records[3].outcome, Outcome::kCrash);
  EXPECT_NE(records[3].message.find("hung"), std::string::npos);
  EXPECT_EQ(records[4].outcome, Outcome::kError);
  EXPECT_EQ(records[5].outcome, Outcome::kCrash);
  EXPECT_NE(records[5].message.find("exit code 7"), std::string::npos);
  EXPECT_EQ(records[6].outcome, Outcome::kSuccess);
}

}  // namespace
}  // namespace ringside::conformance
