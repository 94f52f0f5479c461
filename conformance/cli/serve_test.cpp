// `ringside serve nbd`, judged by NBD's own clients, fio and ext4's tools.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
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
constexpr unsigned kMegabytes = 8;
#else
constexpr unsigned kMegabytes = 32;
#endif

bool succeeds(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

/// The seconds of a load; RINGSIDE_FIO_SECONDS chooses.
unsigned fio_seconds() {
  const char* chosen = std::getenv("RINGSIDE_FIO_SECONDS");
  return chosen == nullptr ? 2 : static_cast<unsigned>(std::stoul(chosen));
}

class ServeNbdTest : public testing::Test {
 protected:
  /// Runs a shell script with the disk's URI in $NBD_URI.
  Ended serve(const std::string& options, const std::string& script) const {
    std::ofstream(folder_ / "script") << "set -eu\n" << script;
    return run_program("serve nbd " + options + " -- sh ./script", folder_.string());
  }

  TemporaryFolder temporary_;
  fs::path folder_{temporary_.path()};
};

/// Once for each back end of the field.
class ServeNbdProfileTest : public ServeNbdTest, public testing::WithParamInterface<const char*> {
 protected:
  std::string backend() const { return std::string("--backend ") + GetParam() + " "; }
};

INSTANTIATE_TEST_SUITE_P(Profiles, ServeNbdProfileTest,
                         testing::Values("linux", "linux3", "classic", "qdisk", "tapdisk",
                                         "freebsd"));

TEST_P(ServeNbdProfileTest, NbdcopyBringsBackWhatItBrought) {
  if (!succeeds("nbdcopy --version")) GTEST_SKIP() << "nbdcopy is not installed (libnbd-bin)";
  const std::string script = fmt::format(R"sh(
head -c {0}M /dev/urandom >there
nbdcopy --flush there "$NBD_URI"
nbdcopy "$NBD_URI" back
cmp there back && cmp there image && echo equal
)sh",
                                         kMegabytes);
  const Ended ended =
      serve(fmt::format("{} --image image --size {}M", backend(), kMegabytes), script);
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_TRUE(ended.text.starts_with("equal\n")) << ended.text;
}

TEST_P(ServeNbdProfileTest, FioFindsItsChecksums) {
  if (!succeeds("fio --enghelp=nbd")) GTEST_SKIP() << "fio is not installed, or without nbd";
  const std::string script = fmt::format(R"sh(
load() {{
  fio --name=load --ioengine=nbd --uri="$NBD_URI" --rw=randrw --verify=crc32c --verify_fatal=1 \
    --fsync=64 --time_based --runtime={} --size=16M "$@" >log 2>&1 || {{ cat log; exit 1; }}
}}
load --bs=4k --iodepth=32
load --bsrange=512-256k --blockalign=512 --iodepth=8
echo verified
)sh",
                                         fio_seconds());
  const Ended ended = serve(backend() + "--queues 2 --size 16M", script);
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_TRUE(ended.text.starts_with("verified\n")) << ended.text;
}

TEST_P(ServeNbdProfileTest, Ext4IsCleanAfterQemuImgWroteIt) {
  if (!succeeds("qemu-img --version")) GTEST_SKIP() << "qemu-img is not installed (qemu-utils)";
  if (!succeeds("mkfs.ext4 -V")) GTEST_SKIP() << "mkfs.ext4 is not installed (e2fsprogs)";
  const Ended ended = serve(backend() + "--image image --size 32M", R"sh(
mkdir files && head -c 3M /dev/urandom >files/a && seq 100000 >files/b
mkfs.ext4 -q -d files ext4 32M
qemu-img convert -n -f raw -O raw ext4 "$NBD_URI"
qemu-img compare -f raw -F raw ext4 "$NBD_URI"
e2fsck -fn image >log && echo clean
debugfs -R 'dump b back' image 2>log && cmp files/b back && echo equal
)sh");
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_TRUE(ended.says("Images are identical.\n") && ended.says("clean\nequal\n")) << ended.text;
}

TEST_P(ServeNbdProfileTest, Ext4IsMadeAndCheckedOnIt) {
  if (!succeeds("nbdfuse --version")) GTEST_SKIP() << "nbdfuse is not installed (nbdfuse)";
  if (!succeeds("test -w /dev/fuse")) GTEST_SKIP() << "/dev/fuse can't be opened";
  const Ended ended = serve(backend() + "--size 32M", R"sh(
mkdir disk && echo >disk/nbd
nbdfuse disk/nbd "$NBD_URI" &
for i in $(seq 100); do test "$(stat -c %s disk/nbd)" = 33554432 && break; sleep 0.1; done
mkfs.ext4 -q -F disk/nbd && e2fsck -fn disk/nbd >log && echo clean
fusermount3 -u disk/nbd
wait
)sh");
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_TRUE(ended.says("clean\n")) << ended.text;
}

TEST_F(ServeNbdTest, OffersWhatTheBackEndHasAndRefusesTheRest) {
  if (!succeeds("PATH=/usr/bin:$PATH nbdsh -c pass"))
    GTEST_SKIP() << "nbdsh is not installed (python3-libnbd)";
  const char* script = R"sh(PATH=/usr/bin:$PATH
nbdsh -u "$NBD_URI" -c '
def errno_of(call):
    try:
        call()
    except nbd.Error as error:
        return error.errno
h.set_strict_mode(0)
size = h.get_size()
print(size, h.can_flush(), h.can_fua(), h.can_trim(), h.can_zero(), h.can_multi_conn())
print(errno_of(lambda: h.pread(512, size)), errno_of(lambda: h.pread(100, 0)))
print(errno_of(lambda: h.pwrite(b"1" * 512, size)), errno_of(lambda: h.zero(512, 0)))
h.pwrite(b"1" * 512, 512, nbd.CMD_FLAG_FUA)
print(h.pread(512, 512) == b"1" * 512)
'
)sh";
  const Ended linux = serve("--size 1M --backend linux", script);
  EXPECT_EQ(linux.code, 0) << linux.text;
  EXPECT_TRUE(linux.text.starts_with(
      "1048576 True True True False True\nEINVAL EINVAL\nENOSPC EINVAL\nTrue\n"))
      << linux.text;
  const Ended tapdisk = serve("--size 1M --backend tapdisk", script);
  EXPECT_TRUE(tapdisk.says("1048576 True True False False True\n")) << tapdisk.text;
  const Ended read_only = serve("--read-only --size 1M", R"sh(PATH=/usr/bin:$PATH
nbdsh -u "$NBD_URI" -c 'print(h.is_read_only()); h.set_strict_mode(0)
try: h.pwrite(b"1" * 512, 0)
except nbd.Error as error: print(error.errno)'
)sh");
  EXPECT_TRUE(read_only.text.starts_with("True\nEPERM\n")) << read_only.text;
}

/// What nobody should send ends the connection or is refused, and the next client is served.
TEST_F(ServeNbdTest, OutlivesClientsThatBreakTheProtocol) {
  const Ended ended = serve("--size 1M", R"sh(
python3 - <<'end'
import os, random, socket, struct
def connect():
    s = socket.socket(socket.AF_UNIX)
    s.connect(os.environ["RINGSIDE_NBD_SOCKET"])
    assert s.recv(18, socket.MSG_WAITALL)[:16] == b"NBDMAGICIHAVEOPT"
    return s
def option(number, data): return struct.pack(">8sII", b"IHAVEOPT", number, len(data)) + data
def ends(s):
    try:
        while s.recv(4096): pass
    except ConnectionError: pass
    return True
def command(kind, offset, length):
    return struct.pack(">IHHQQI", 0x25609513, 0, kind, 1, offset, length)
random.seed(1)
for junk in (struct.pack(">I", 0x80), struct.pack(">I", 3) + b"x" * 16,
             struct.pack(">I", 3) + struct.pack(">8sII", b"IHAVEOPT", 7, 1 << 31)):
    s = connect(); s.sendall(junk); assert ends(s)
for data in (b"", b"\xff" * 6, b"\0\0\0\1", b"\0\0\0\1a\0\0"):
    s = connect(); s.sendall(struct.pack(">I", 3) + option(7, data))
    reply = s.recv(20, socket.MSG_WAITALL)
    assert struct.unpack(">I", reply[12:16])[0] & 0x80000000, reply
def transmit():
    s = connect(); s.sendall(struct.pack(">I", 3) + option(1, b"")); s.recv(10, socket.MSG_WAITALL)
    return s
s = transmit(); s.sendall(b"junk" * 7); assert ends(s)
s = transmit(); s.sendall(command(1, 0, 1 << 30)); assert ends(s)
for kind, offset, length in ((9, 0, 512), (6, 0, 512), (3, 0, 512), (4, 1 << 40, 512),
                             (0, 0, 0), (0, 0, 1 << 30), (0, 1 << 63, 512),
                             (0, (1 << 64) - 512, 1024)):
    s = transmit(); s.sendall(command(kind, offset, length))
    magic, error, cookie = struct.unpack(">IIQ", s.recv(16, socket.MSG_WAITALL))
    assert magic == 0x67446698 and error != 0 and cookie == 1, (kind, error)
s = transmit()                                # leaves with commands under way
s.sendall(b"".join(command(0, i * 512, 65536) for i in range(900))); s.close()
s = transmit(); s.sendall(command(0, 0, 512))
assert struct.unpack(">II", s.recv(528, socket.MSG_WAITALL)[:8])[1] == 0
print("served")
end
)sh");
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_TRUE(ended.text.starts_with("served\n")) << ended.text;
}

TEST_F(ServeNbdTest, PassesTheExitCodeOnAndTakesTheSocketAway) {
  const Ended ended = serve("--null --size 1M", "echo $RINGSIDE_NBD_SOCKET >socket; exit 7\n");
  EXPECT_EQ(ended.code, 7) << ended.text;
  EXPECT_TRUE(ended.text.starts_with("the disk: nothing behind it\n")) << ended.text;
  std::string socket;
  std::ifstream(folder_ / "socket") >> socket;
  EXPECT_FALSE(socket.empty());
  EXPECT_FALSE(fs::exists(socket));
  EXPECT_FALSE(fs::exists(fs::path(socket).parent_path()));
}

TEST_F(ServeNbdTest, StaysUpUntilItIsInterrupted) {
  std::ofstream(folder_ / "script") << "'" RINGSIDE_PROGRAM "' serve nbd 2>log &"
                                    << R"sh(
pid=$!
until grep -q Ctrl-C log; do sleep 0.1; done
kill -INT $pid
wait $pid && grep ^nbd+unix log
)sh";
  const Ended ended = run_program("--version >/dev/null; sh ./script", folder_.string());
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_TRUE(ended.says("nbd+unix:///?socket=")) << ended.text;
}

TEST_F(ServeNbdTest, SaysWhatIsWrong) {
  std::ofstream(folder_ / "odd") << "123";
  const auto expect_error = [this](const std::string& arguments, std::string_view words) {
    const Ended ended = run_program(arguments, folder_.string());
    EXPECT_EQ(ended.code, 4) << ended.text;
    EXPECT_TRUE(ended.text.starts_with("ringside: ERROR: ")) << ended.text;
    EXPECT_EQ(std::count(ended.text.begin(), ended.text.end(), '\n'), 1) << ended.text;
    EXPECT_TRUE(ended.says(words)) << ended.text;
  };
  expect_error("serve", "subcommand is required");
  expect_error("serve nbd --queues 5", "--queues");
  expect_error("serve nbd --size 1000", "--size 1000 is not a multiple of 512");
  expect_error("serve nbd --backend qnic", "there is no block back-end profile");
  expect_error("serve nbd --image missing", "does not exist");
  expect_error("serve nbd --image odd", "not a multiple of 512");
  expect_error("serve nbd --image odd --null", "--null");
  expect_error("serve nbd -- no-such-program", "can't run no-such-program");
  EXPECT_EQ(run_program("serve nbd -- true").code, 0);
}

}  // namespace
