// The judge here is Debian's xenstore-utils: programs on the real libxenstore.
#include "sim/xenstore/socket_server.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "sim/xenstore/local_client.hpp"

namespace ringside::sim::xenstore {
namespace {

struct Ran {
  int status = -1;
  std::string output;
};

class SocketServerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("command -v xenstore-ls >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "xenstore-ls is not installed (package xenstore-utils)";
    }
    std::array<char, 32> folder{"/tmp/ringside-store-XXXXXX"};
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder.data();
    socket_ = std::make_unique<SocketServer>(server_, folder_ + "/socket");
    thread_ = std::thread([this] {
      while (!stop_) socket_->serve_once(-1);
    });
  }
  void TearDown() override {
    if (!socket_) return;
    stop_ = true;
    socket_->wake();
    thread_.join();
    socket_.reset();
    rmdir(folder_.c_str());
  }

  std::string command(const std::string& line) const {
    return "XENSTORED_PATH=" + folder_ + "/socket timeout 20 xenstore-" + line;
  }
  Ran run(const std::string& line) const {
    Ran ran;
    FILE* pipe = popen((command(line) + " 2>&1").c_str(), "r");
    std::array<char, 4096> chunk;
    for (size_t got; (got = fread(chunk.data(), 1, chunk.size(), pipe)) > 0;) {
      ran.output.append(chunk.data(), got);
    }
    const int status = pclose(pipe);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return ran;
  }

  Server server_;
  std::string folder_;
  std::unique_ptr<SocketServer> socket_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST_F(SocketServerTest, RealToolsWriteReadAndList) {
  EXPECT_EQ(run("write /tool/a one /tool/b 'two words'").status, 0);
  EXPECT_EQ(run("read /tool/a /tool/b").output, "one\ntwo words\n");
  EXPECT_EQ(run("list /tool").output, "a\nb\n");
  EXPECT_EQ(run("ls /tool").output, "a = \"one\"\nb = \"two words\"\n");
  LocalClient here(server_, 0);
  EXPECT_EQ(here.read("/tool/b"), "two words");
}

TEST_F(SocketServerTest, RealToolsSeeErrorsAndRemovals) {
  run("write /tool/a/deep one");
  EXPECT_EQ(run("exists /tool/a").status, 0);
  EXPECT_EQ(run("rm /tool/a").status, 0);
  EXPECT_NE(run("exists /tool/a/deep").status, 0);
  const Ran missing = run("read /tool/none");
  EXPECT_NE(missing.status, 0);
  EXPECT_NE(missing.output.find("couldn't read path /tool/none"), std::string::npos);
  EXPECT_NE(run("write '/bad path' x").status, 0);
}

TEST_F(SocketServerTest, RealToolsSetPermissions) {
  run("write /tool/p x");
  EXPECT_EQ(run("chmod /tool/p n3 r7 b9").status, 0);
  EXPECT_NE(run("ls -p /tool").output.find("(n3,r7,b9)"), std::string::npos);
  LocalClient seven(server_, 7);
  EXPECT_EQ(seven.read("/tool/p"), "x");
  EXPECT_NE(seven.write("/tool/p", "y"), 0);
}

TEST_F(SocketServerTest, RealToolsListTensOfThousandsOfBytes) {
  LocalClient here(server_, 0);
  for (int i = 0; i < 1500; ++i) here.write("/many/child-" + std::to_string(10000 + i), "");
  const Ran listed = run("list /many");
  EXPECT_EQ(listed.status, 0);
  EXPECT_EQ(std::count(listed.output.begin(), listed.output.end(), '\n'), 1500);
}

TEST_F(SocketServerTest, ARealToolWaitsForWatches) {
  FILE* pipe = popen(command("watch -n 3 /tool/w 2>&1").c_str(), "r");
  std::array<char, 256> line{};
  ASSERT_NE(fgets(line.data(), line.size(), pipe), nullptr);
  EXPECT_STREQ(line.data(), "/tool/w\n") << "the first, at once";
  EXPECT_EQ(run("write /tool/w/below 1").status, 0);
  ASSERT_NE(fgets(line.data(), line.size(), pipe), nullptr);
  EXPECT_STREQ(line.data(), "/tool/w/below\n");
  EXPECT_EQ(run("rm /tool").status, 0);
  ASSERT_NE(fgets(line.data(), line.size(), pipe), nullptr);
  EXPECT_STREQ(line.data(), "/tool/w\n");
  EXPECT_EQ(pclose(pipe), 0);
}

}  // namespace
}  // namespace ringside::sim::xenstore
