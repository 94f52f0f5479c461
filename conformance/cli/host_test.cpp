// `ringside host`, judged by the tools of Debian's xenstore-utils and Xen's own store test.
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "conformance/cli/run_program.hpp"

namespace {

constexpr const char* kXenstored = "/usr/lib/xen-4.17/bin/xenstored";
constexpr const char* kXenTest = "/usr/lib/xen-4.17/bin/test-xenstore";

using ringside::conformance::Ended;

Ended run(const std::string& arguments) {
  return ringside::conformance::run_program("host " + arguments);
}

class HostTest : public testing::Test {
 protected:
  void SetUp() override {
    if (access("/usr/bin/xenstore-ls", X_OK) != 0) {
      GTEST_SKIP() << "xenstore-ls is not installed (package xenstore-utils)";
    }
  }
};

TEST(HostCommandTest, PassesTheExitCodeOn) {
  EXPECT_EQ(run("-- true").code, 0);
  EXPECT_EQ(run("-- sh -c 'exit 7'").code, 7);
  EXPECT_EQ(run("-- sh -c 'kill -9 $$'").code, 128 + 9);
  EXPECT_EQ(run("--domains 0 -- sh -c 'test -S \"$XENSTORED_PATH\"'").code, 0);
}

TEST(HostCommandTest, LeavesNothingBehind) {
  const Ended ended = run("-- sh -c 'echo $XENSTORED_RUNDIR'");
  ASSERT_TRUE(ended.text.starts_with("/")) << ended.text;
  EXPECT_NE(access(ended.text.substr(0, ended.text.size() - 1).c_str(), F_OK), 0);
}

TEST(HostCommandTest, SaysWhatIsWrong) {
  EXPECT_EQ(run("").code, 4);
  EXPECT_TRUE(run("").says("COMMAND"));
  EXPECT_EQ(run("-- no-such-program").code, 4);
  EXPECT_TRUE(run("-- no-such-program").says("can't run no-such-program: No such file"));
  EXPECT_EQ(run("--domains 256 -- true").code, 4);
  const Ended help = run("--help");
  EXPECT_EQ(help.code, 0);
  EXPECT_TRUE(help.says("Examples:"));
}

TEST_F(HostTest, TheDomainsAreThere) {
  const Ended listed = run("--domains 3 -- xenstore-list /local/domain");
  EXPECT_EQ(listed.code, 0) << listed.text;
  for (const char* domain : {"1\n", "2\n", "3\n"}) EXPECT_TRUE(listed.says(domain)) << listed.text;
  EXPECT_EQ(run("--domains 2 -- xenstore-read /local/domain/2/name").text, "guest2\n");
}

TEST_F(HostTest, DevicesAreDescribedAsForXl) {
  const std::string devices =
      "--domains 2 --vif mac=00:16:3e:01:02:03,bridge=br7 --vif '' "
      "--disk /dev/vg/one,raw,xvdb --disk vdev=hdc,devtype=cdrom,target=/a,b.iso ";
  const std::string home = "-- xenstore-read /local/domain/2/device/";
  EXPECT_EQ(run(devices + home + "vif/0/mac").text, "00:16:3e:01:02:03\n");
  EXPECT_EQ(run(devices + home + "vif/1/mac").text, "00:16:3e:00:00:02\n");
  EXPECT_EQ(run(devices + home + "vbd/51728/device-type").text, "disk\n");
  EXPECT_EQ(run(devices + home + "vbd/5632/device-type").text, "cdrom\n");
  EXPECT_EQ(run(devices + "-- xenstore-read /local/domain/0/backend/qdisk/2/5632/params").text,
            "aio:/a,b.iso\n");
  const Ended wrong = run("--disk /dev/a,raw,xvd1 -- true");
  EXPECT_EQ(wrong.code, 4);
  EXPECT_TRUE(wrong.says("'xvd1' is no virtual device")) << wrong.text;
}

TEST_F(HostTest, AnOldXenServesTheStoreToo) {
  const Ended read = run("--xen 3.4 -- xenstore-read /local/domain/1/name");
  EXPECT_EQ(read.code, 0) << read.text;
  EXPECT_EQ(read.text, "guest1\n");
  EXPECT_NE(run("--xen 3.4 -- xenstore-exists /local/domain/1/console/port").code, 0);
}

TEST_F(HostTest, RealToolsWork) {
  const Ended ended =
      run("-- sh -ec 'xenstore-write /t/a one /t/b two; xenstore-read /t/a; xenstore-exists /t/b;"
          " xenstore-chmod /t/a n0 r1; xenstore-ls -p /t; xenstore-list /t; xenstore-rm /t/a;"
          " ! xenstore-exists /t/a; xenstore-watch -n 1 /t'");
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_TRUE(ended.text.starts_with("one\n")) << ended.text;
  EXPECT_TRUE(ended.says("(n0,r1)")) << ended.text;
  EXPECT_TRUE(ended.says("a\nb\n/t\n")) << ended.text;
}

TEST_F(HostTest, ARealXenstoredServesTheHost) {
  if (access(kXenstored, X_OK) != 0) {
    GTEST_SKIP() << kXenstored << " is not installed (package xen-utils-4.17)";
  }
  const std::string real = std::string("--xenstored ") + kXenstored + " --domains 2 ";
  const Ended read =
      run(real + "-- sh -ec 'xenstore-read /local/domain/2/name; xenstore-list /libxl'");
  EXPECT_EQ(read.code, 0) << read.text;
  EXPECT_EQ(read.text, "guest2\n1\n2\n");
  EXPECT_EQ(run(real + "-- sh -c 'exit 7'").code, 7) << "and what it leaves is clean";
}

TEST_F(HostTest, XensOwnToolsSeeItsEventChannels) {
  constexpr const char* kTool = "/usr/lib/xen-4.17/bin/lsevtchn";
  if (access(kTool, X_OK) != 0) {
    GTEST_SKIP() << kTool << " is not installed (package xen-utils-4.17)";
  }
  const Ended listed = run(std::string("-- ") + kTool + " 1");
  EXPECT_EQ(listed.code, 0) << listed.text;
  EXPECT_TRUE(listed.says("Interdomain (Connected) - Remote Domain 0")) << listed.text;
  EXPECT_TRUE(listed.says("Interdomain (Waiting connection) - Remote Domain 0")) << listed.text;
}

TEST(HostCommandTest, AMissingXenstoredIsNamed) {
  const Ended ended = run("--xenstored /no/such/daemon -- true");
  EXPECT_EQ(ended.code, 4);
  EXPECT_TRUE(ended.says("/no/such/daemon is not there")) << ended.text;
  EXPECT_EQ(run("--xenstored /bin/true -- true").code, 4) << "it ends without a socket";
}

TEST_F(HostTest, XensOwnStoreTestPasses) {
  if (access(kXenTest, X_OK) != 0) {
    GTEST_SKIP() << kXenTest << " is not installed (package xen-utils-4.17)";
  }
  const std::string test = std::string("-- ") + kXenTest;
  for (const char* arguments : {"", " -i 20", " -r 2"}) {
    const Ended ended = run(test + arguments);
    EXPECT_EQ(ended.code, 0) << ended.text;
    EXPECT_FALSE(ended.says("failed")) << ended.text;
  }
  EXPECT_TRUE(run(test).says("ta err")) << "the last of all tests has run";
}

}  // namespace
