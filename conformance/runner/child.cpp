#include "conformance/runner/child.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "conformance/runner/worker.hpp"

namespace ringside::conformance {
namespace {

using nlohmann::json;

class Reporter : public testing::EmptyTestEventListener {
 public:
  Reporter(int report_fd, int output_fd) : report_fd_(report_fd), output_fd_(output_fd) {}

  void OnTestStart(const testing::TestInfo& test) override { send("start", test, json::object()); }

  void OnTestEnd(const testing::TestInfo& test) override {
    const auto& result = *test.result();
    std::string message;
    for (int i = 0; i < result.total_part_count(); ++i) {
      const auto& part = result.GetTestPartResult(i);
      if (part.passed()) continue;
      if (part.file_name() != nullptr) {
        message += std::string(part.file_name()) + ":" + std::to_string(part.line_number()) + ": ";
      }
      message += std::string(part.message()) + "\n";
    }
    Outcome outcome = Outcome::kSuccess;
    if (result.Skipped()) outcome = Outcome::kSkip;
    if (result.Failed()) outcome = says_error(result) ? Outcome::kError : Outcome::kFailure;
    send("end", test,
         {{"outcome", static_cast<int>(outcome)},
          {"message", message},
          {"seconds", static_cast<double>(result.elapsed_time()) / 1000.0}});
  }

 private:
  static bool says_error(const testing::TestResult& result) {
    for (int i = 0; i < result.test_property_count(); ++i) {
      const auto& property = result.GetTestProperty(i);
      if (std::string_view(property.key()) == kOutcomeProperty) return true;
    }
    return false;
  }

  void send(const char* event, const testing::TestInfo& test, json line) {
    std::cout.flush();
    std::cerr.flush();
    std::fflush(nullptr);
    line["event"] = event;
    line["test"] = std::string(test.test_suite_name()) + "." + test.name();
    line["offset"] = lseek(output_fd_, 0, SEEK_END);
    report_line(report_fd_, line);
  }

  int report_fd_;
  int output_fd_;
};

}  // namespace

void run_as_child(std::span<const TestCase> tests, int report_fd, int output_fd) {
  // The parent shared the tests out already.
  unsetenv("GTEST_TOTAL_SHARDS");
  unsetenv("GTEST_SHARD_INDEX");
  std::string filter;
  for (const TestCase& test : tests) filter += test.full_name() + ":";
  GTEST_FLAG_SET(filter, filter);
  GTEST_FLAG_SET(death_test_style, "fast");
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new Reporter(report_fd, output_fd));
  [[maybe_unused]] const int reported = RUN_ALL_TESTS();
  // Each result went to the parent; another exit code is a sanitizer's own.
  std::exit(0);
}

}  // namespace ringside::conformance
