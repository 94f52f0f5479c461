#include <fmt/format.h>

#include <algorithm>

#include "conformance/cli/verbs.hpp"
#include "conformance/report/catalogue.hpp"
#include "conformance/runner/tests.hpp"

namespace ringside::conformance {
namespace {

bool carries(const TestCase& test, const std::string& rule) {
  return std::find(test.rules.begin(), test.rules.end(), rule) != test.rules.end();
}

Outcome list(const std::string& filter) {
  size_t shown = 0;
  for (const Rule& rule : Catalogue::embedded().rules()) {
    if (!matches_rule(rule.id, filter)) continue;
    ++shown;
    fmt::print("{:<16} {:<11} {}\n", rule.id, to_string(rule.status), rule.statement);
  }
  if (shown == 0)
    throw Problem(fmt::format("no rule matches '{}'; see ringside rules list", filter));
  return Outcome::kSuccess;
}

Outcome show(const std::string& id) {
  const Rule* rule = Catalogue::embedded().find(id);
  if (rule == nullptr) {
    const auto similar = Catalogue::embedded().similar(id);
    throw Problem(similar.empty() ? fmt::format("there is no rule {}; see ringside rules list", id)
                                  : fmt::format("there is no rule {}; did you mean {}?", id,
                                                fmt::join(similar, ", ")));
  }
  fmt::print("{}\n  {}\n  source: {}\n  status: {}\n", rule->id, rule->statement, rule->source,
             to_string(rule->status));
  if (!rule->note.empty()) fmt::print("  note:   {}\n", rule->note);
  for (const TestCase& test : registered_tests()) {
    if (carries(test, rule->id)) fmt::print("  test:   {}\n", test.full_name());
  }
  return Outcome::kSuccess;
}

/// The catalogue and the tests must tell the same story. A test that carries no rule (a leak
/// check of the bench, say) contradicts none: it is only listed.
Outcome check() {
  const Catalogue& catalogue = Catalogue::embedded();
  const auto tests = registered_tests();
  size_t wrong = 0;
  size_t without_rule = 0;
  const auto complain = [&](const std::string& what) {
    ++wrong;
    fmt::print("{}\n", what);
  };
  for (const TestCase& test : tests) {
    if (test.rules.empty()) {
      ++without_rule;
      fmt::print("note: {} carries no rule id\n", test.full_name());
    }
    for (const std::string& id : test.rules) {
      if (catalogue.find(id) == nullptr) {
        complain(fmt::format("{} names {}, which is not in the catalogue", test.full_name(), id));
      }
    }
  }
  for (const Rule& rule : catalogue.rules()) {
    const bool tested = std::any_of(tests.begin(), tests.end(),
                                    [&](const TestCase& test) { return carries(test, rule.id); });
    if (tested != (rule.status == RuleStatus::kCovered)) {
      complain(fmt::format("{} is \"{}\" but {} test carries its id", rule.id,
                           to_string(rule.status), tested ? "a" : "no"));
    }
    if (rule.status == RuleStatus::kUntestable && rule.note.empty()) {
      complain(fmt::format("{} is untestable but no note says why", rule.id));
    }
  }
  fmt::print("{} rules, {} tests ({} without a rule), {} contradictions\n",
             catalogue.rules().size(), tests.size(), without_rule, wrong);
  return wrong == 0 ? Outcome::kSuccess : Outcome::kFailure;
}

}  // namespace

void add_rules(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand("rules", "The catalogue of rules");
  verb->require_subcommand(1);
  auto text = std::make_shared<std::string>("*");
  auto* list_verb = verb->add_subcommand("list", "One line a rule");
  list_verb->add_option("GLOB", *text, "Which ones");
  list_verb->callback([&action, text] { action = [text] { return list(*text); }; });
  auto* show_verb = verb->add_subcommand("show", "One rule: statement, source, tests");
  show_verb->add_option("ID", *text, "Such as RING-008")->required();
  show_verb->callback([&action, text] { action = [text] { return show(*text); }; });
  auto* check_verb = verb->add_subcommand("check", "Do catalogue and tests agree?");
  check_verb->callback([&action] { action = check; });
}

}  // namespace ringside::conformance
