#include "conformance/replay/iolog.hpp"

#include <gtest/gtest.h>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

std::string problem(std::string_view text) {
  try {
    IoLog::parse(text, "log");
  } catch (const Problem& e) {
    return e.what();
  }
  return "none";
}

constexpr std::string_view kHead = "fio version 2 iolog\n/dev/xvda add\n/dev/xvda open\n";

std::string with(std::string_view line) { return std::string(kHead) + std::string(line) + "\n"; }

TEST(IoLogTest, ReadsEachKindOfRequest) {
  const IoLog log = IoLog::parse(with("/dev/xvda read 512 1024\n/dev/xvda write 0 512\n"
                                      "/dev/xvda sync 0 0\n/dev/xvda datasync 0 0\n"
                                      "/dev/xvda trim 4096 4096\n/dev/xvda close"),
                                 "log");
  ASSERT_EQ(log.requests.size(), 5u);
  EXPECT_EQ(log.requests[0].kind, BlockRequest::Kind::kRead);
  EXPECT_EQ(log.requests[0].end(), 1536u);
  EXPECT_EQ(log.requests[0].line, 4u);
  EXPECT_EQ(log.requests[1].kind, BlockRequest::Kind::kWrite);
  EXPECT_EQ(log.requests[3].kind, BlockRequest::Kind::kSync);
  EXPECT_EQ(log.requests[4].kind, BlockRequest::Kind::kTrim);
  EXPECT_EQ(log.extent(), 8192u);
}

TEST(IoLogTest, NamesWhatIsWrongAndWhere) {
  EXPECT_NE(problem("hello\n").find("not a fio I/O log"), std::string::npos);
  EXPECT_NE(problem("").find("not a fio I/O log"), std::string::npos);
  EXPECT_NE(problem("fio version 3 iolog\n").find("only version 2"), std::string::npos);
  EXPECT_NE(problem(kHead).find("no requests"), std::string::npos);
  EXPECT_NE(problem(with("/dev/xvda read 512")).find("log line 4"), std::string::npos);
  EXPECT_NE(problem(with("/dev/xvda erase 0 512")).find("unknown action \"erase\""),
            std::string::npos);
  EXPECT_NE(problem(with("/dev/xvda read 0 100")).find("multiples of 512"), std::string::npos);
  EXPECT_NE(problem(with("/dev/xvda read -512 512")).find("no number"), std::string::npos);
  EXPECT_NE(problem(with("/dev/xvda read 0 0")).find("zero"), std::string::npos);
  EXPECT_NE(problem(with("/dev/xvdb read 0 512")).find("second device"), std::string::npos);
  EXPECT_NE(problem(with("/dev/xvda read 18446744073709551104 1024")).find("overflow"),
            std::string::npos);
}

TEST(IoLogTest, ARequestPastTheEndNamesItsLine) {
  const IoLog log = IoLog::parse(with("/dev/xvda write 512 512"), "log");
  EXPECT_NO_THROW(require_fits(log, 1024, "log"));
  EXPECT_THROW(require_fits(log, 1023, "log"), Problem);
}

}  // namespace
}  // namespace ringside::conformance
