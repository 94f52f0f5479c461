// `ringside net up`, judged by the network tools of Debian: iputils-ping, curl, iperf3.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "conformance/cli/run_program.hpp"
#include "conformance/daemons/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;

using ringside::conformance::Ended;
using ringside::conformance::TemporaryFolder;
using ringside::conformance::run_program;

#ifdef RINGSIDE_SANITIZED
constexpr unsigned kMegabytes = 4;
#else
constexpr unsigned kMegabytes = 20;
#endif

bool succeeds(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

/// Why there can be no live network here; empty when there can.
std::string obstacle() {
  if (access("/dev/net/tun", R_OK | W_OK) != 0) return "/dev/net/tun can't be opened";
  if (!succeeds("unshare -n true") && !succeeds("unshare -Urn true")) {
    return "there may be no network namespaces";
  }
  return "";
}

/// The megabytes of a transfer; RINGSIDE_TRANSFER_MB chooses.
unsigned megabytes() {
  const char* chosen = std::getenv("RINGSIDE_TRANSFER_MB");
  return chosen == nullptr ? kMegabytes : static_cast<unsigned>(std::stoul(chosen));
}

class NetUpTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = obstacle(); !why.empty()) GTEST_SKIP() << why;
  }

  /// Runs a shell script in the guest's namespace.
  Ended up(const std::string& options, const std::string& script) const {
    std::ofstream(folder_ / "script") << "set -eu\n" << script;
    return run_program("net up " + options + " -- sh ./script", folder_.string());
  }

  TemporaryFolder temporary_;
  fs::path folder_{temporary_.path()};
};

/// Once for each back end of the field.
class NetUpProfileTest : public NetUpTest, public testing::WithParamInterface<const char*> {
 protected:
  std::string backend() const { return std::string("--backend ") + GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Profiles, NetUpProfileTest, testing::Values("linux", "classic", "qnic"));

TEST_P(NetUpProfileTest, Pings) {
  if (!succeeds("ping -V")) GTEST_SKIP() << "ping is not installed (package iputils-ping)";
  const Ended ended = up(backend(), R"sh(
for address in $RINGSIDE_PEER_IPV4 $RINGSIDE_PEER_IPV6; do
  ping -c 5 -i 0.2 $address
  ping -c 3 -i 0.2 -s 8000 $address
done
)sh");
  EXPECT_EQ(ended.code, 0) << ended.text;
  size_t runs = 0;
  for (size_t at = 0; (at = ended.text.find(" 0% packet loss", at)) != std::string::npos; ++at) {
    ++runs;
  }
  EXPECT_EQ(runs, 4u) << ended.text;
}

/// Serves the file from one side and fetches it on the other, both ways, over both protocols.
constexpr const char* kTransfer = R"sh(
head -c {0}M /dev/urandom >file
sum=$(sha256sum <file)
nsenter --net=$RINGSIDE_PEER_NS python3 -m http.server --bind :: 8000 >/dev/null 2>&1 &
python3 -m http.server --bind :: 8001 >/dev/null 2>&1 &
fetch="curl --silent --show-error --fail --retry 100 --retry-connrefused --retry-delay 1"
for url in "http://$RINGSIDE_PEER_IPV4:8000" "http://[$RINGSIDE_PEER_IPV6]:8000"; do
  test "$sum" = "$($fetch $url/file | sha256sum)" && echo equal
done
for url in "http://$RINGSIDE_GUEST_IPV4:8001" "http://[$RINGSIDE_GUEST_IPV6]:8001";
do
  test "$sum" = "$(nsenter --net=$RINGSIDE_PEER_NS $fetch $url/file | sha256sum)" && echo equal
done
)sh";

TEST_P(NetUpProfileTest, TransfersArriveWhole) {
  if (!succeeds("curl --version")) GTEST_SKIP() << "curl is not installed (package curl)";
  const Ended ended = up(backend(), fmt::format(kTransfer, megabytes()));
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_TRUE(ended.says("equal\nequal\nequal\nequal\n")) << ended.text;
}

TEST_F(NetUpTest, TransfersArriveWholeOverSeveralQueuesAndLargeFrames) {
  if (!succeeds("curl --version")) GTEST_SKIP() << "curl is not installed (package curl)";
  const Ended ended = up("--queues 2 --mtu 9000", fmt::format(kTransfer, megabytes()));
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_TRUE(ended.says("equal\nequal\nequal\nequal\n")) << ended.text;
}

TEST_P(NetUpProfileTest, Iperf3RunsInBothDirections) {
  if (!succeeds("iperf3 --version")) GTEST_SKIP() << "iperf3 is not installed (package iperf3)";
  const Ended ended = up(backend(), R"sh(
nsenter --net=$RINGSIDE_PEER_NS iperf3 --server >/dev/null &
try() {
  for i in $(seq 50); do
    if iperf3 --time 1 "$@"; then return; fi
    sleep 0.1
  done
  exit 1
}
try --client $RINGSIDE_PEER_IPV4
try --client $RINGSIDE_PEER_IPV4 --reverse
try --client $RINGSIDE_PEER_IPV6
try --client $RINGSIDE_PEER_IPV6 --reverse
try --client $RINGSIDE_PEER_IPV4 --udp --bitrate 20M
echo five runs
)sh");
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_TRUE(ended.says("five runs")) << ended.text;
}

TEST_F(NetUpTest, PassesTheExitCodeOnAndEndsWhatIsLeft) {
  const Ended ended = up("", R"sh(
nsenter --net=$RINGSIDE_PEER_NS sleep 1000 &
echo $! >peer
sleep 1000 &
echo $! >guest
exit 7
)sh");
  EXPECT_EQ(ended.code, 7) << ended.text;
  EXPECT_TRUE(ended.says("packets on the rings")) << ended.text;
  for (const char* side : {"peer", "guest"}) {
    std::string pid;
    std::ifstream(folder_ / side) >> pid;
    ASSERT_FALSE(pid.empty());
    EXPECT_FALSE(succeeds(fmt::format("grep -q ^sleep /proc/{}/cmdline", pid)));
  }
}

TEST_F(NetUpTest, StaysUpUntilItIsInterrupted) {
  std::ofstream(folder_ / "script") << "'" RINGSIDE_PROGRAM "' net up 2>log &"
                                    << R"sh(
pid=$!
until grep -q Ctrl-C log; do sleep 0.1; done
nsenter $(sed -n 's/^guest .* nsenter//p' log) ip -br address
kill -INT $pid
wait $pid
)sh";
  const Ended ended = run_program("--version >/dev/null; sh ./script", folder_.string());
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_TRUE(ended.says("192.0.2.2/24 2001:db8::2/64")) << ended.text;
}

TEST_F(NetUpTest, WhatItRecordsCanBeReplayed) {
  const Ended ended = up("--record live.pcapng --queues 2", R"sh(
nsenter --net=$RINGSIDE_PEER_NS python3 -c 'import socket
server = socket.create_server(("", 9000))
open("ready", "w")
peer = server.accept()[0]
while peer.recv(65536): pass' &
until test -e ready; do sleep 0.1; done
head -c 1M /dev/urandom | python3 -c 'import os, socket, sys
socket.create_connection((os.environ["RINGSIDE_PEER_IPV4"], 9000)).sendall(sys.stdin.buffer.read())'
)sh");
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_TRUE(ended.says("frames recorded in live.pcapng")) << ended.text;
  const Ended replayed = run_program("replay net live.pcapng", folder_.string());
  EXPECT_EQ(replayed.code, 0) << replayed.text;
  EXPECT_TRUE(replayed.says(" 0 dropped")) << replayed.text;
  EXPECT_FALSE(replayed.says(", 0 GSO")) << replayed.text;
}

TEST_F(NetUpTest, SaysWhatIsWrong) {
  const auto expect_error = [](const Ended& ended, std::string_view words) {
    EXPECT_EQ(ended.code, 4) << ended.text;
    EXPECT_TRUE(ended.text.starts_with("ringside: ERROR: ")) << ended.text;
    EXPECT_EQ(std::count(ended.text.begin(), ended.text.end(), '\n'), 1) << ended.text;
    EXPECT_TRUE(ended.says(words)) << ended.text;
  };
  expect_error(run_program("net"), "subcommand is required");
  expect_error(run_program("net up --mtu 100"), "--mtu");
  expect_error(run_program("net up --queues 9"), "--queues");
  expect_error(run_program("net up --backend qnic --mtu 9000"), "--mtu 4076 at most");
  expect_error(run_program("net up --backend qdisk"), "there is no net back-end profile");
  expect_error(run_program("net up --record /no/such/folder/a.pcapng"), "/no/such/folder");
  expect_error(run_program("net up -- no-such-program"), "can't run no-such-program");
}

/// In surroundings made for it, which root of a user namespace may do.
Ended run_after(const std::string& preparation) {
  return run_program("--version >/dev/null; exec unshare -rm sh -c '" + preparation +
                     " && exec " RINGSIDE_PROGRAM " net up -- true'");
}

TEST_F(NetUpTest, SaysWhatIsMissing) {
  if (!succeeds("unshare -rm mount -t tmpfs none /dev/net"))
    GTEST_SKIP() << "nothing can be hidden";
  const Ended no_tun = run_after("mount -t tmpfs none /dev/net");
  EXPECT_EQ(no_tun.code, 4);
  EXPECT_EQ(no_tun.text,
            "ringside: ERROR: no live network: /dev/net/tun: No such file or directory\n");
  const std::string limits = "cd /proc/sys/user && echo 0 >max_net_namespaces";
  if (!succeeds("unshare -rm sh -c '" + limits + "'")) return;
  const Ended no_namespace = run_after(limits);
  EXPECT_EQ(no_namespace.code, 4);
  EXPECT_TRUE(no_namespace.says("no network namespace: No space left on device"))
      << no_namespace.text;
  const Ended not_root = run_after(limits + " && echo 0 >max_user_namespaces");
  EXPECT_EQ(not_root.code, 4);
  EXPECT_TRUE(not_root.says("needs root or user namespaces")) << not_root.text;
}

}  // namespace
