#include <fmt/format.h>

#include <chrono>
#include <cstdlib>

#include "conformance/cli/conformance_run.hpp"
#include "conformance/cli/verbs.hpp"
#include "conformance/report/output_file.hpp"
#include "conformance/report/terminal.hpp"
#include "conformance/rig/options.hpp"
#include "conformance/rig/profiles.hpp"
#include "conformance/rig/xen.hpp"
#include "conformance/runner/isolation.hpp"

namespace ringside::conformance {
namespace {

constexpr size_t kMostOutputLines = 40;

Colour colour_of(Outcome outcome) {
  if (outcome == Outcome::kSuccess) return Colour::kGreen;
  return outcome == Outcome::kSkip ? Colour::kYellow : Colour::kRed;
}

/// GTEST_TOTAL_SHARDS and GTEST_SHARD_INDEX, as every test scheduler sets them.
std::vector<TestCase> this_shard(std::vector<TestCase> tests) {
  const char* total = std::getenv("GTEST_TOTAL_SHARDS");
  const char* index = std::getenv("GTEST_SHARD_INDEX");
  if (total == nullptr || index == nullptr) return tests;
  const auto shards = std::strtoul(total, nullptr, 10);
  const auto mine = std::strtoul(index, nullptr, 10);
  if (shards == 0 || mine >= shards) {
    throw Problem(
        fmt::format("GTEST_SHARD_INDEX={} is not below GTEST_TOTAL_SHARDS={}", index, total));
  }
  std::vector<TestCase> kept;
  for (size_t i = mine; i < tests.size(); i += shards) kept.push_back(tests[i]);
  return kept;
}

std::string last_lines(std::string_view text) {
  size_t at = text.size();
  for (size_t lines = 0; at > 0 && lines <= kMostOutputLines; ++lines) {
    const size_t newline = text.rfind('\n', at - 1);
    if (newline == std::string_view::npos) return std::string(text);
    at = newline;
  }
  return "..." + std::string(text.substr(at));
}

void print_trouble(const TestRecord& record, const RunReport& report) {
  fmt::print("{} {}\n  {}\n", coloured(to_string(record.outcome), colour_of(record.outcome)),
             record.test.full_name(), record.message);
  if (record.outcome == Outcome::kSkip) return;
  if (!record.output.empty()) fmt::print("  what it printed:\n{}\n", last_lines(record.output));
  fmt::print("  seed {}; replay: {}\n", report.seed, report.replay_command(record.test));
}

}  // namespace

RunReport run_conformance(const ConformanceRequest& request) {
  require_profile(options().backend);
  require_chosen_xen();
  if (!request.junit.empty()) require_writable(request.junit);
  if (!request.json.empty()) require_writable(request.json);
  std::vector<TestCase> tests;
  for (TestCase& test : registered_tests()) {
    if (matches(test, request.filter)) tests.push_back(std::move(test));
  }
  if (tests.empty()) {
    throw Problem(fmt::format("--filter '{}' names no rule and no test; see ringside rules list",
                              request.filter));
  }
  tests = this_shard(std::move(tests));
  RunReport report;
  report.seed = options().seed;
  report.backend = options().backend;
  report.xen = options().xen;
  report.filter = request.filter;
  const auto start = std::chrono::steady_clock::now();
  Progress progress;
  IsolationOptions isolation;
  isolation.timeout_seconds = request.timeout_seconds;
  isolation.progress = [&](size_t done, const TestCase& next) {
    progress.show(done, tests.size(), next.full_name());
  };
  report.records = run_isolated(tests, isolation);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

void print_trouble(const RunReport& report) {
  for (const TestRecord& record : report.records) {
    if (record.outcome != Outcome::kSuccess) print_trouble(record, report);
  }
}

void print_table(const RunReport& report) {
  unsigned counts[5] = {};
  for (const TestRecord& record : report.records) ++counts[static_cast<size_t>(record.outcome)];
  fmt::print("\nRules by family\n{}", family_table(by_family(report, Catalogue::embedded())));
  fmt::print(
      "\n{} tests: {} passed, {} failed, {} crashed, {} errors, {} skipped; seed {}, "
      "back end {}, Xen {}, {:.1f} s\n",
      report.records.size(), counts[0], counts[3], counts[4], counts[2], counts[1], report.seed,
      report.backend, report.xen.empty() ? sim::xen_profiles().back().name : report.xen,
      report.seconds);
}

void add_conformance(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand("conformance", "Run the rules against the simulated Xen");
  auto request = std::make_shared<ConformanceRequest>();
  verb->add_option("--filter", request->filter,
                   "Glob over rule ids (NETIF-TX-*) or test names (RING_*)");
  verb->add_option("--backend", options().backend, "Profile of the back ends")
      ->capture_default_str();
  verb->add_option("--xen", options().xen, "Release of Xen: 3.4, 4.0 ... (default: the newest)");
  verb->add_option("--seed", options().seed, "Which world")->capture_default_str();
  verb->add_option("--junit", request->junit, "Write a JUnit report here");
  verb->add_option("--json", request->json, "Write a JSON report here");
  verb->add_option("--timeout", request->timeout_seconds, "Seconds after which a test has hung")
      ->capture_default_str();
  verb->callback([&action, request] {
    action = [request] {
      const RunReport report = run_conformance(*request);
      print_trouble(report);
      print_table(report);
      if (!request->junit.empty()) write_whole(request->junit, to_junit(report));
      if (!request->json.empty()) {
        write_whole(request->json, to_json(report, Catalogue::embedded()));
      }
      const Outcome outcome = report.outcome();
      fmt::print("{}\n", coloured(to_string(outcome), colour_of(outcome)));
      return outcome;
    };
  });
}

}  // namespace ringside::conformance
