#include "conformance/report/run_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace ringside::conformance {
namespace {

bool carries(const TestCase& test, const std::string& rule) {
  return std::find(test.rules.begin(), test.rules.end(), rule) != test.rules.end();
}

std::string_view to_string(RuleResult result) {
  switch (result) {
    case RuleResult::kPassed: return "passed";
    case RuleResult::kFailed: return "failed";
    case RuleResult::kSkipped: return "skipped";
    case RuleResult::kNotCovered: return "not covered yet";
    case RuleResult::kUntestable: return "untestable";
  }
  return "not covered yet";
}

void count(FamilyRow& row, RuleResult result) {
  switch (result) {
    case RuleResult::kPassed: ++row.passed; return;
    case RuleResult::kFailed: ++row.failed; return;
    case RuleResult::kSkipped: ++row.skipped; return;
    case RuleResult::kNotCovered: ++row.not_covered; return;
    case RuleResult::kUntestable: ++row.untestable; return;
  }
}

/// The rules that a report speaks about: all of them, or what its filter picked.
std::vector<const Rule*> rules_in_scope(const RunReport& report, const Catalogue& catalogue) {
  std::vector<const Rule*> rules;
  for (const Rule& rule : catalogue.rules()) {
    const bool tested =
        std::any_of(report.records.begin(), report.records.end(),
                    [&](const TestRecord& record) { return carries(record.test, rule.id); });
    if (tested || matches_rule(rule.id, report.filter)) rules.push_back(&rule);
  }
  return rules;
}

}  // namespace

Outcome RunReport::outcome() const {
  Outcome worst = Outcome::kSuccess;
  bool all_skipped = !records.empty();
  for (const TestRecord& record : records) {
    if (record.outcome != Outcome::kSkip) {
      all_skipped = false;
      worst = worse(worst, record.outcome);
    }
  }
  return all_skipped ? Outcome::kSkip : worst;
}

RuleResult RunReport::result_of(const Rule& rule) const {
  bool any = false;
  bool passed = false;
  for (const TestRecord& record : records) {
    if (!carries(record.test, rule.id)) continue;
    any = true;
    if (record.outcome >= Outcome::kError) return RuleResult::kFailed;
    passed |= record.outcome == Outcome::kSuccess;
  }
  if (passed) return RuleResult::kPassed;
  if (any) return RuleResult::kSkipped;
  return rule.status == RuleStatus::kUntestable ? RuleResult::kUntestable : RuleResult::kNotCovered;
}

std::string RunReport::replay_command(const TestCase& test) const {
  return fmt::format("ringside conformance --filter '{}' --backend {} --seed {}{}",
                     test.full_name(), backend, seed, xen.empty() ? "" : " --xen " + xen);
}

std::vector<FamilyRow> by_family(const RunReport& report, const Catalogue& catalogue) {
  std::vector<FamilyRow> rows;
  for (const Rule* rule : rules_in_scope(report, catalogue)) {
    auto row = std::find_if(rows.begin(), rows.end(), [&](const FamilyRow& candidate) {
      return candidate.family == rule->family();
    });
    if (row == rows.end()) {
      rows.push_back({.family = std::string(rule->family())});
      row = rows.end() - 1;
    }
    count(*row, report.result_of(*rule));
  }
  return rows;
}

std::string family_table(std::span<const FamilyRow> rows) {
  std::string text = fmt::format("{:<10} {:>7} {:>7} {:>8} {:>16} {:>11}\n", "family", "passed",
                                 "failed", "skipped", "not covered yet", "untestable");
  FamilyRow sum{.family = "all"};
  const auto line = [&](const FamilyRow& row) {
    text += fmt::format("{:<10} {:>7} {:>7} {:>8} {:>16} {:>11}\n", row.family, row.passed,
                        row.failed, row.skipped, row.not_covered, row.untestable);
  };
  for (const FamilyRow& row : rows) {
    line(row);
    sum.passed += row.passed;
    sum.failed += row.failed;
    sum.skipped += row.skipped;
    sum.not_covered += row.not_covered;
    sum.untestable += row.untestable;
  }
  line(sum);
  return text;
}

std::string to_json(const RunReport& report, const Catalogue& catalogue) {
  using nlohmann::json;
  json tests = json::array();
  for (const TestRecord& record : report.records) {
    json test = {{"name", record.test.full_name()},
                 {"rules", record.test.rules},
                 {"outcome", to_string(record.outcome)},
                 {"seconds", record.seconds}};
    if (!record.message.empty()) test["message"] = record.message;
    if (record.outcome >= Outcome::kError) test["replay"] = report.replay_command(record.test);
    tests.push_back(std::move(test));
  }
  json rules = json::array();
  for (const Rule* rule : rules_in_scope(report, catalogue)) {
    rules.push_back({{"id", rule->id}, {"result", to_string(report.result_of(*rule))}});
  }
  const json all = {{"outcome", to_string(report.outcome())},
                    {"seed", report.seed},
                    {"backend", report.backend},
                    {"xen", report.xen},
                    {"filter", report.filter},
                    {"seconds", report.seconds},
                    {"tests", tests},
                    {"rules", rules}};
  return all.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace ringside::conformance
