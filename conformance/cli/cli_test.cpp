#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "conformance/cli/run_program.hpp"
#include "conformance/daemons/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;

using ringside::conformance::Ended;
using ringside::conformance::TemporaryFolder;
using ringside::conformance::run_program;

/// Runs the program in a folder of its own, as a user does.
class CliTest : public testing::Test {
 protected:
  Ended run(const std::string& arguments) const { return run_program(arguments, folder_.string()); }

  /// Bad input: exit code 4, one line that begins with "ringside: ERROR:" and says `words`.
  void expect_error(const std::string& arguments, std::string_view words) const {
    const Ended ended = run(arguments);
    EXPECT_EQ(ended.code, 4) << ended.text;
    EXPECT_TRUE(ended.text.starts_with("ringside: ERROR: ")) << ended.text;
    EXPECT_EQ(std::count(ended.text.begin(), ended.text.end(), '\n'), 1) << ended.text;
    EXPECT_TRUE(ended.says(words)) << ended.text;
  }

  void write(const std::string& name, std::string_view content) const {
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }
  std::string read(const fs::path& path) const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void image(const std::string& name, uintmax_t bytes) const {
    write(name, "");
    fs::resize_file(folder_ / name, bytes);
  }
  void log(const std::string& lines) const { write("a.iolog", "fio version 2 iolog\n" + lines); }
  static std::string sample(const std::string& name) {
    return std::string(RINGSIDE_SAMPLES "/") + name;
  }

  TemporaryFolder temporary_;
  fs::path folder_{temporary_.path()};
};

TEST_F(CliTest, HelpAndVersion) {
  const Ended help = run("--help");
  EXPECT_EQ(help.code, 0);
  EXPECT_TRUE(help.says("Examples:"));
  EXPECT_TRUE(help.says("Exit codes"));
  const Ended version = run("--version");
  EXPECT_EQ(version.code, 0);
  EXPECT_TRUE(version.says("ringside "));
}

TEST_F(CliTest, WrongUsage) {
  expect_error("", "subcommand");
  expect_error("conformance --nonsense", "--nonsense");
  expect_error("replay net", "CAPTURE");
  expect_error("conformance --seed many", "many");
  expect_error("conformance --filter 'NOSUCH-*'", "names no rule and no test");
  expect_error("conformance --backend nosuch", "choose one of: reference, ");
  for (const char* verb : {"conformance --filter RING-001", "worlds --seeds 1", "host -- true"}) {
    std::string words(verb);
    words.insert(words.find(' '), " --xen 2.0");
    expect_error(words, "there is no Xen \"2.0\"; choose one of: 3.4, 4.0, ");
  }
  expect_error("rules show ring-8", "did you mean RING-");
  expect_error("rules list 'NOSUCH-*'", "no rule matches");
  expect_error("all --samples nowhere", "nowhere");
}

TEST_F(CliTest, RulesCanBeRead) {
  const Ended list = run("rules list 'RING-*'");
  EXPECT_EQ(list.code, 0);
  EXPECT_TRUE(list.says("RING-008"));
  const Ended show = run("rules show RING-008");
  EXPECT_EQ(show.code, 0);
  EXPECT_TRUE(show.says("source: "));
}

TEST_F(CliTest, ReportsAreWrittenWhole) {
  const Ended ended =
      run("conformance --filter 'RING-00[12]' --junit out.xml --json out.json --seed 7");
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_TRUE(ended.says("Rules by family"));
  EXPECT_TRUE(read(folder_ / "out.xml").ends_with("</testsuites>\n"));
  EXPECT_NE(read(folder_ / "out.json").find("\"seed\": 7"), std::string::npos);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 2);
  expect_error("conformance --filter RING-001 --json nowhere/out.json", "can't write nowhere/");
}

TEST_F(CliTest, TheXenIsChosen) {
  const Ended newest = run("conformance --filter 'EVTCHN-00[23]'");
  EXPECT_EQ(newest.code, 0) << newest.text;
  EXPECT_TRUE(newest.says("Xen 4.17")) << newest.text;
  const Ended oldest = run("conformance --filter 'EVTCHN-00[23]' --xen 3.4 --json out.json");
  EXPECT_EQ(oldest.code, 0) << oldest.text;
  EXPECT_TRUE(oldest.says("Xen 3.4")) << oldest.text;
  EXPECT_TRUE(oldest.says("needs Xen 4.4 or later, this is 3.4")) << oldest.text;
  EXPECT_NE(read(folder_ / "out.json").find("\"xen\": \"3.4\""), std::string::npos);
  const auto digest = [&](const std::string& release) {
    const Ended worlds = run("worlds --seeds 1..3 --xen " + release);
    EXPECT_EQ(worlds.code, 0) << worlds.text;
    const size_t at = worlds.text.find("digest ");
    EXPECT_NE(at, std::string::npos) << worlds.text;
    return worlds.text.substr(at, worlds.text.find('\n', at) - at);
  };
  EXPECT_EQ(digest("3.4"), digest("3.4"));
  EXPECT_NE(digest("3.4"), digest("4.17"));
}

TEST_F(CliTest, BadCaptures) {
  expect_error("replay net missing.pcap", "missing.pcap");
  write("text.pcap", "this is no capture, however long the text may be\n");
  expect_error("replay net text.pcap", "not a capture");
  write("empty.pcap", "");
  expect_error("replay net empty.pcap", "empty.pcap");
  const std::string whole = read(sample("net-mixed.pcap"));
  write("cut.pcap", whole.substr(0, 10000));
  expect_error("replay net cut.pcap", "damaged after");
  std::string other = whole;
  other[20] = 113;  // LINKTYPE_LINUX_SLL
  write("other.pcap", other);
  expect_error("replay net other.pcap", "not Ethernet");
  expect_error("replay net '" + sample("net-mixed.pcap") + "' --backend qdisk",
               "no net back-end profile");
}

TEST_F(CliTest, BadLogs) {
  expect_error("replay blk missing.iolog", "missing.iolog");
  write("a.iolog", "fio version 3 iolog\n");
  expect_error("replay blk a.iolog", "only version 2");
  log("/dev/xvda read 0\n");
  expect_error("replay blk a.iolog", "line 2");
  log("/dev/xvda write 512 512\n");
  expect_error("replay blk a.iolog --image missing.img", "does not exist");
  image("small.img", 512);
  expect_error("replay blk a.iolog --image small.img", "past the end");
  expect_error("replay blk a.iolog --size 512", "past the end");
  image("odd.img", 1000);
  expect_error("replay blk a.iolog --image odd.img", "not a multiple of 512");
  image("ro.img", 4096);
  fs::permissions(folder_ / "ro.img", fs::perms::owner_read);
  expect_error("replay blk a.iolog --image ro.img", "read-only");
  expect_error("replay blk a.iolog --image .", "image .");
  write("short.data", "too little");
  expect_error("replay blk a.iolog --data short.data", "less than the 512 bytes");
}

TEST_F(CliTest, ALogWritesTheImageItIsGiven) {
  log("/dev/xvda write 512 1024\n/dev/xvda sync 0 0\n/dev/xvda read 0 2048\n");
  write("w.data", std::string(1024, 'x'));
  const Ended ended =
      run("replay blk a.iolog --data w.data --image new.img --size 1M --json out.json");
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_TRUE(ended.says("3 requests: 3 done"));
  const std::string content = read(folder_ / "new.img");
  ASSERT_EQ(content.size(), 1u << 20);
  EXPECT_EQ(content.substr(512, 1024), std::string(1024, 'x'));
  EXPECT_EQ(content[511], '\0');
  EXPECT_EQ(content[1536], '\0');
}

TEST_F(CliTest, ASeedIsAWorld) {
  const std::string net = "replay net --digest '" + sample("net-mixed.pcap") + "' --seed ";
  const std::string blk = "replay blk --digest '" + sample("ext4-files.iolog") + "' --seed ";
  const auto digest = [](const Ended& ended) {
    EXPECT_EQ(ended.code, 0) << ended.text;
    const size_t at = ended.text.find("digest ");
    return at == std::string::npos ? std::string() : ended.text.substr(at, 7 + 32);
  };
  for (const std::string& replay : {net, blk}) {
    const std::string first = digest(run(replay + "1"));
    EXPECT_EQ(first.size(), 39u);
    EXPECT_EQ(digest(run(replay + "1")), first);
    EXPECT_NE(digest(run(replay + "2")), first);
  }
}

TEST_F(CliTest, EveryFrameIsAccountedFor) {
  for (const char* backend : {"reference", "classic", "qnic"}) {
    const Ended ended = run("replay net '" + sample("net-mixed.pcap") + "' --backend " + backend);
    EXPECT_EQ(ended.code, 0) << ended.text;
    EXPECT_TRUE(ended.says("592 frames: ")) << ended.text;
    EXPECT_TRUE(ended.says("0 dropped")) << ended.text;
  }
}

TEST_F(CliTest, WorldsReplayTheirDigestWhateverTheNumberOfWorkers) {
  const auto digest = [](const Ended& ended) {
    const size_t at = ended.text.find("digest ");
    return at == std::string::npos ? ended.text : ended.text.substr(at, 39);
  };
  const Ended one = run("worlds --seeds 11..14 --jobs 1");
  EXPECT_EQ(one.code, 0) << one.text;
  EXPECT_EQ(digest(run("worlds --seeds 11..14 --jobs 3")), digest(one));
  EXPECT_NE(digest(run("worlds --seeds 11..14 --faults none")), digest(one));
  EXPECT_NE(digest(run("worlds --seeds 15..18")), digest(one));
}

TEST_F(CliTest, WorldsReportAsJunitAndJson) {
  const Ended ended =
      run("worlds --seeds 3 --faults 'event-lost@0+50000#0x0' --junit out.xml --json out.json");
  EXPECT_EQ(ended.code, 0) << ended.text;
  EXPECT_NE(read(folder_ / "out.xml").find("name=\"Seed_3\""), std::string::npos);
  EXPECT_NE(read(folder_ / "out.json").find("\"event-lost\": 1"), std::string::npos);
}

TEST_F(CliTest, WorldsRefuseWhatTheyDoNotUnderstand) {
  expect_error("worlds --seeds x", "write it as 7 or 1..1000");
  expect_error("worlds --seeds 7..3", "the last comes before the first");
  expect_error("worlds --faults lightning", "choose all, none, a plan, or of: event-delay");
  expect_error("worlds --faults event-lost@soon", "no plan of faults");
}

}  // namespace
