#include <fmt/format.h>

#include <map>

#include "conformance/report/run_report.hpp"

namespace ringside::conformance {
namespace {

/// Escaped for an attribute or text; characters that XML can't hold become '?'.
std::string xml(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      case '\n': escaped += "&#10;"; break;
      case '\t': escaped += "&#9;"; break;
      default: escaped += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
  }
  return escaped;
}

struct Counts {
  unsigned tests = 0;
  unsigned failures = 0;
  unsigned errors = 0;
  unsigned skipped = 0;
  double seconds = 0;

  void add(const TestRecord& record) {
    ++tests;
    failures += record.outcome == Outcome::kFailure;
    errors += record.outcome == Outcome::kError || record.outcome == Outcome::kCrash;
    skipped += record.outcome == Outcome::kSkip;
    seconds += record.seconds;
  }
  std::string attributes() const {
    return fmt::format(R"(tests="{}" failures="{}" errors="{}" skipped="{}" time="{:.3f}")", tests,
                       failures, errors, skipped, seconds);
  }
};

std::string test_element(const TestRecord& record, const RunReport& report) {
  std::string text = fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"",
                                 xml(record.test.suite), xml(record.test.name), record.seconds);
  if (record.outcome == Outcome::kSuccess) return text + "/>\n";
  text += ">\n";
  if (record.outcome == Outcome::kSkip) {
    text += fmt::format("      <skipped message=\"{}\"/>\n", xml(record.message));
  } else {
    const std::string replay =
        record.replay.empty() ? report.replay_command(record.test) : record.replay;
    const char* element = record.outcome == Outcome::kFailure ? "failure" : "error";
    text += fmt::format("      <{0} type=\"{1}\" message=\"{2}\">{3}</{0}>\n", element,
                        to_string(record.outcome), xml(record.message),
                        xml(fmt::format("replay: {}", replay)));
    if (!record.output.empty()) {
      text += fmt::format("      <system-out>{}</system-out>\n", xml(record.output));
    }
  }
  return text + "    </testcase>\n";
}

}  // namespace

std::string to_junit(const RunReport& report) {
  std::map<std::string, std::vector<const TestRecord*>> suites;
  Counts all;
  for (const TestRecord& record : report.records) {
    suites[record.test.suite].push_back(&record);
    all.add(record);
  }
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  text += fmt::format("<testsuites name=\"ringside\" {}>\n", all.attributes());
  for (const auto& [suite, records] : suites) {
    Counts counts;
    for (const TestRecord* record : records) counts.add(*record);
    text += fmt::format("  <testsuite name=\"{}\" {}>\n", xml(suite), counts.attributes());
    text += fmt::format(
        "    <properties><property name=\"seed\" value=\"{}\"/>"
        "<property name=\"backend\" value=\"{}\"/></properties>\n",
        report.seed, xml(report.backend));
    for (const TestRecord* record : records) text += test_element(*record, report);
    text += "  </testsuite>\n";
  }
  return text + "</testsuites>\n";
}

}  // namespace ringside::conformance
