// What is recorded of the rings is a capture like any other: for libpcap, Wireshark and ourselves.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "conformance/cli/run_program.hpp"
#include "conformance/daemons/temporary_folder.hpp"
#include "conformance/replay/capture.hpp"
#include "conformance/replay/packet.hpp"

namespace {

namespace fs = std::filesystem;

using ringside::conformance::Bytes;
using ringside::conformance::CapturedFrame;
using ringside::conformance::ChecksumState;
using ringside::conformance::Ended;
using ringside::conformance::TemporaryFolder;
using ringside::conformance::read_capture;

constexpr const char* kSample = RINGSIDE_SAMPLES "/net-mixed.pcap";

/// The frame with the checksum that a back end may have had filled in, or not.
Bytes whole(CapturedFrame frame) {
  const auto layout = ringside::conformance::dissect(frame.bytes);
  if (ringside::conformance::checksum_state(frame.bytes, layout) == ChecksumState::kPartial) {
    ringside::conformance::complete_checksum(frame.bytes, layout);
  }
  return std::move(frame.bytes);
}

class RecordTest : public testing::TestWithParam<const char*> {
 protected:
  Ended run(const std::string& arguments) const {
    return ringside::conformance::run_program(arguments, folder_.string());
  }
  std::string content(const std::string& name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TemporaryFolder temporary_;
  fs::path folder_{temporary_.path()};
};

INSTANTIATE_TEST_SUITE_P(Profiles, RecordTest, testing::Values("linux", "classic", "qnic"));

TEST_P(RecordTest, EachFrameIsThereAsBothVifsHadIt) {
  const Ended recorded = run(std::string("record net rings.pcapng --backend ") + GetParam());
  ASSERT_EQ(recorded.code, 0) << recorded.text;
  std::map<Bytes, unsigned> seen;
  for (const CapturedFrame& frame : read_capture(folder_ / "rings.pcapng")) ++seen[whole(frame)];
  std::map<Bytes, unsigned> sent;
  for (const CapturedFrame& frame : read_capture(kSample)) {
    // Shorter ones are padded, longer ones travel as GSO.
    if (frame.bytes.size() >= 60 && frame.bytes.size() <= 1514) ++sent[whole(frame)];
  }
  EXPECT_GT(sent.size(), 100u);
  size_t missing = 0;
  for (const auto& [bytes, count] : sent) missing += seen[bytes] < 2 * count;
  EXPECT_EQ(missing, 0u);
  const Ended replayed = run("replay net rings.pcapng");
  EXPECT_EQ(replayed.code, 0) << replayed.text;
  EXPECT_TRUE(replayed.says(" 0 dropped")) << replayed.text;
}

TEST_F(RecordTest, CommentsNameSlotsExtrasAndGrants) {
  ASSERT_EQ(run("record net rings.pcapng").code, 0);
  const std::string text = content("rings.pcapng");
  for (const char* words :
       {"transmit, queue 0: slots 1, extras 0, checksum blank\nslot ",
        "receive, queue 0: slots 1, extras 0, checksum blank\nslot ",
        "extras 1, checksum blank\nextra: GSO TCPv4, ", "extra: GSO TCPv6, ", ": id 255, grant "}) {
    EXPECT_NE(text.find(words), std::string::npos) << words;
  }
  EXPECT_EQ(text.find("not granted"), std::string::npos);
}

TEST_F(RecordTest, LookingOnChangesNothing) {
  const std::string replay = std::string("replay net --digest --seed 3 '") + kSample + "'";
  const auto digest = [](const Ended& ended) {
    const size_t at = ended.text.find("digest ");
    return at == std::string::npos ? ended.text : ended.text.substr(at, 39);
  };
  const std::string plain = digest(run(replay));
  EXPECT_EQ(plain.size(), 39u) << plain;
  EXPECT_EQ(digest(run(replay + " --record a.pcapng")), plain);
  EXPECT_EQ(digest(run("record net b.pcapng --digest --seed 3")), plain);
  EXPECT_EQ(content("a.pcapng"), content("b.pcapng"));
}

TEST_F(RecordTest, WiresharkReadsIt) {
  if (access("/usr/bin/capinfos", X_OK) != 0) {
    GTEST_SKIP() << "capinfos is not installed (package wireshark-common)";
  }
  ASSERT_EQ(run("record net rings.pcapng").code, 0);
  const Ended ended = run("--version && LC_ALL=C capinfos -M -c -o -t -E -I rings.pcapng");
  EXPECT_EQ(ended.code, 0) << ended.text;
  for (const char* words :
       {"Number of packets:   1184", "Strict time order:   True", "Number of packets = 592",
        "Name = sender", "Name = receiver", "Encapsulation = Ethernet"}) {
    EXPECT_TRUE(ended.says(words)) << words << " in\n" << ended.text;
  }
}

TEST_F(RecordTest, SaysWhatIsWrong) {
  const Ended nowhere = run("record net /no/such/folder/a.pcapng");
  EXPECT_EQ(nowhere.code, 4);
  EXPECT_TRUE(nowhere.says("can't write /no/such/folder/a.pcapng: No such file or directory"))
      << nowhere.text;
  const Ended full = run("record net /dev/full");
  EXPECT_EQ(full.code, 4);
  EXPECT_TRUE(full.says("can't write /dev/full: No space left on device")) << full.text;
  EXPECT_EQ(run("record net").code, 4);
  EXPECT_EQ(run("record net a.pcapng --capture missing.pcap").code, 4);
}

}  // namespace
