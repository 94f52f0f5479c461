#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <thread>

#include "conformance/campaigns/site_campaign.hpp"
#include "conformance/cli/verbs.hpp"
#include "conformance/report/output_file.hpp"
#include "conformance/report/run_report.hpp"
#include "conformance/report/terminal.hpp"
#include "conformance/rig/options.hpp"
#include "conformance/rig/xen.hpp"

namespace ringside::conformance {
namespace {

/// So many failures are shown and shrunk; the rest is counted.
constexpr size_t kMostShown = 5;
constexpr size_t kMostFindings = 8;

struct WorldsRequest {
  std::string seeds = "1..1000";
  std::string faults = "all";
  std::string junit;
  std::string json;
  double minutes = 0;
  bool shrink = true;
  bool call_sites = false;
  CampaignOptions options;
};

uint64_t parse_seed(std::string_view text, const std::string& all) {
  uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw Problem(fmt::format("--seeds '{}': write it as 7 or 1..1000", all));
  }
  return seed;
}

void parse_seeds(const std::string& text, CampaignOptions& options) {
  const size_t dots = text.find("..");
  options.first = parse_seed(std::string_view(text).substr(0, dots), text);
  options.last = dots == std::string::npos
                     ? options.first
                     : parse_seed(std::string_view(text).substr(dots + 2), text);
  if (options.last < options.first) {
    throw Problem(fmt::format("--seeds '{}': the last comes before the first", text));
  }
}

/// "all", "none", kinds to draw from, or a whole plan.
void parse_faults(const std::string& text, CampaignOptions& options) {
  const auto known = sim::all_fault_kinds();
  if (text == "all") {
    options.kinds.assign(known.begin(), known.end());
    return;
  }
  if (text == "none" || text.find('@') != std::string::npos) {
    options.plan = sim::parse_plan(text);
    if (!options.plan) throw Problem(fmt::format("--faults '{}' is no plan of faults", text));
    return;
  }
  for (size_t from = 0; from <= text.size();) {
    const size_t end = std::min(text.find(',', from), text.size());
    const auto kind = sim::fault_kind(text.substr(from, end - from));
    if (!kind) {
      std::vector<std::string_view> names;
      for (const sim::FaultKind one : known) names.push_back(sim::to_string(one));
      throw Problem(fmt::format("--faults '{}': choose all, none, a plan, or of: {}", text,
                                fmt::join(names, ", ")));
    }
    options.kinds.push_back(*kind);
    from = end + 1;
  }
}

std::string why(const WorldRecord& record) {
  if (!record.message.empty()) return record.message;
  return record.result.findings.empty() ? "" : record.result.findings.front();
}

void print_failure(const WorldRecord& record, const sim::FaultPlan& plan) {
  fmt::print("{} seed {}\n", coloured(to_string(record.outcome), Colour::kRed), record.seed);
  if (!record.message.empty()) fmt::print("  {}\n", record.message);
  const auto& findings = record.result.findings;
  for (size_t i = 0; i < std::min(findings.size(), kMostFindings); ++i) {
    fmt::print("  {}\n", findings[i]);
  }
  if (findings.size() > kMostFindings) {
    fmt::print("  ... and {} more\n", findings.size() - kMostFindings);
  }
  if (!record.output.empty()) {
    constexpr size_t kTail = 2000;
    const size_t from = record.output.size() > kTail ? record.output.size() - kTail : 0;
    fmt::print("  what it printed last:\n{}\n", record.output.substr(from));
  }
  fmt::print("  faults: {}\n", sim::to_string(record.plan));
  fmt::print("  replay: {}\n", replay_command(record.seed, plan));
}

struct Failure {
  const WorldRecord* record;
  sim::FaultPlan plan;  ///< as small as could be found
};

sim::FaultPlan smallest_plan(const WorldRecord& record, const CampaignOptions& options) {
  return shrink(record.plan, [&](const sim::FaultPlan& plan) {
    const WorldRecord again = run_alone(record.seed, plan, options.timeout_seconds);
    return again.outcome != Outcome::kSuccess;
  });
}

std::vector<Failure> explain(const CampaignReport& report, const WorldsRequest& request) {
  std::vector<Failure> failures;
  for (const WorldRecord& record : report.records) {
    if (record.outcome == Outcome::kSuccess) continue;
    Failure failure{&record, record.plan};
    if (failures.size() < kMostShown) {
      if (request.shrink) failure.plan = smallest_plan(record, request.options);
      print_failure(record, failure.plan);
    }
    failures.push_back(std::move(failure));
  }
  if (failures.size() > kMostShown) {
    fmt::print("... and {} more worlds that failed:", failures.size() - kMostShown);
    for (size_t i = kMostShown; i < failures.size(); ++i) {
      fmt::print(" {}", failures[i].record->seed);
    }
    fmt::print("\n");
  }
  return failures;
}

nlohmann::json to_json(const CampaignReport& report, const std::vector<Failure>& failures) {
  nlohmann::json faults = nlohmann::json::object();
  const auto struck = report.struck();
  for (const sim::FaultKind kind : sim::all_fault_kinds()) {
    faults[std::string(sim::to_string(kind))] = struck[static_cast<size_t>(kind)];
  }
  nlohmann::json failed = nlohmann::json::array();
  for (const Failure& failure : failures) {
    const WorldRecord& record = *failure.record;
    failed.push_back({{"seed", record.seed},
                      {"outcome", to_string(record.outcome)},
                      {"message", record.message},
                      {"findings", record.result.findings},
                      {"faults", sim::to_string(record.plan)},
                      {"smallest_plan", sim::to_string(failure.plan)},
                      {"replay", replay_command(record.seed, failure.plan)}});
  }
  return {{"outcome", to_string(report.outcome())},
          {"first_seed", report.first},
          {"worlds", report.records.size()},
          {"faults", faults},
          {"failures", failed},
          {"digest", report.digest()},
          {"seconds", report.seconds},
          {"worlds_per_second", report.worlds_per_second()}};
}

/// Each world as a test case.
RunReport as_tests(const CampaignReport& report, const std::vector<Failure>& failures) {
  RunReport tests;
  tests.seed = report.first;
  tests.backend = "drawn from the seed";
  tests.seconds = report.seconds;
  for (const WorldRecord& record : report.records) {
    TestRecord test;
    test.test = {"Worlds", fmt::format("Seed_{}", record.seed), {}};
    test.outcome = record.outcome;
    test.message = why(record);
    test.output = record.output;
    test.seconds = record.seconds;
    for (const Failure& failure : failures) {
      if (failure.record == &record) test.replay = replay_command(record.seed, failure.plan);
    }
    tests.records.push_back(std::move(test));
  }
  return tests;
}

void print_summary(const CampaignReport& report) {
  uint64_t frames = 0;
  uint64_t requests = 0;
  uint64_t steps = 0;
  for (const WorldRecord& record : report.records) {
    frames += record.result.frames;
    requests += record.result.requests;
    steps += record.result.steps;
  }
  fmt::print("Faults injected\n");
  const auto struck = report.struck();
  for (const sim::FaultKind kind : sim::all_fault_kinds()) {
    fmt::print("  {:<14} {:>8}\n", sim::to_string(kind), struck[static_cast<size_t>(kind)]);
  }
  fmt::print("{} worlds in {:.1f} s, {:.1f} a second: {} frames, {} requests, {} steps\n",
             report.records.size(), report.seconds, report.worlds_per_second(), frames, requests,
             steps);
  if (!report.records.empty()) {
    fmt::print("seeds {}..{}, digest {}\n", report.first, report.records.back().seed,
               report.digest());
  }
}

Outcome run_call_sites(const CampaignOptions& options) {
  const SiteReport report = fail_each_site(
      options.first, [](const FailureSite&) { return true; }, options.jobs,
      options.timeout_seconds);
  for (const WorldRecord& record : report.campaign.records) {
    if (record.outcome != Outcome::kSuccess) fmt::print("{}\n", report.explain(record));
  }
  for (const SiteKind kind :
       {SiteKind::kAllocation, SiteKind::kGrant, SiteKind::kHypercall, SiteKind::kStore}) {
    fmt::print("  {:<14} {:>8}\n", to_string(kind), report.count(kind));
  }
  fmt::print("{} call sites failed once each, in {:.1f} s; seed {}\n", report.sites.size(),
             report.campaign.seconds, options.first);
  const Outcome outcome = report.campaign.outcome();
  fmt::print("{}\n", coloured(to_string(outcome),
                              outcome == Outcome::kSuccess ? Colour::kGreen : Colour::kRed));
  return outcome;
}

Outcome run_worlds(WorldsRequest& request) {
  require_chosen_xen();
  parse_seeds(request.seeds, request.options);
  if (request.call_sites) return run_call_sites(request.options);
  parse_faults(request.faults, request.options);
  if (!request.junit.empty()) require_writable(request.junit);
  if (!request.json.empty()) require_writable(request.json);
  if (request.minutes > 0) {
    request.options.limit = std::chrono::seconds(static_cast<int64_t>(request.minutes * 60));
  }
  CampaignReport report;
  {
    Progress progress;
    const auto start = std::chrono::steady_clock::now();
    uint64_t failed = 0;
    request.options.progress = [&](const WorldRecord& record, uint64_t done, uint64_t all) {
      failed += record.outcome == Outcome::kSuccess ? 0 : 1;
      const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
      progress.show(done, all,
                    fmt::format("worlds, {:.0f} a second, {} failed",
                                static_cast<double>(done) / spent.count(), failed));
    };
    report = run_campaign(request.options);
  }
  const auto failures = explain(report, request);
  print_summary(report);
  if (!request.junit.empty()) write_whole(request.junit, to_junit(as_tests(report, failures)));
  if (!request.json.empty()) write_whole(request.json, to_json(report, failures).dump(2) + "\n");
  const Outcome outcome = report.outcome();
  fmt::print("{}\n", coloured(to_string(outcome),
                              outcome == Outcome::kSuccess ? Colour::kGreen : Colour::kRed));
  return outcome;
}

}  // namespace

void add_worlds(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand("worlds", "Whole simulated hosts under faults, one a seed");
  auto request = std::make_shared<WorldsRequest>();
  request->options.jobs = std::max(1u, std::thread::hardware_concurrency());
  verb->add_option("--seeds", request->seeds, "Which worlds: 7, or 1..1000")->capture_default_str();
  verb->add_option("--faults", request->faults,
                   "all, none, kinds to draw from (event-lost,backend-crash), or a whole plan as "
                   "a failure prints it")
      ->capture_default_str();
  verb->add_option("--xen", options().xen,
                   "Release of Xen for all worlds: 3.4, 4.0 ... (default: drawn from the seed)");
  verb->add_option("--minutes", request->minutes, "Begin no world after so many minutes");
  verb->add_option("--jobs", request->options.jobs, "Worker processes")->capture_default_str();
  verb->add_option("--timeout", request->options.timeout_seconds,
                   "Seconds after which a world has hung")
      ->capture_default_str();
  verb->add_flag("--shrink,!--no-shrink", request->shrink,
                 "Look for the smallest plan with which a world still fails (default)");
  verb->add_flag("--call-sites", request->call_sites,
                 "Instead: one small world, the first of --seeds, as often as its drivers have "
                 "call sites that can fail; each fails once");
  verb->add_option("--junit", request->junit, "Write a JUnit report here");
  verb->add_option("--json", request->json, "Write a JSON report here");
  verb->callback([&action, request] { action = [request] { return run_worlds(*request); }; });
}

}  // namespace ringside::conformance
