#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/report/catalogue.hpp"
#include "conformance/runner/tests.hpp"

namespace ringside::conformance {

/// What became of one rule in a run.
enum class RuleResult { kPassed, kFailed, kSkipped, kNotCovered, kUntestable };

struct FamilyRow {
  std::string family;
  unsigned passed = 0;
  unsigned failed = 0;
  unsigned skipped = 0;
  unsigned not_covered = 0;
  unsigned untestable = 0;
};

/// All that one conformance run found.
struct RunReport {
  std::vector<TestRecord> records;
  uint64_t seed = 0;
  std::string backend;
  std::string xen;  ///< empty: the newest
  std::string filter = "*";
  double seconds = 0;

  /// The worst of all; kSkip only when nothing but skipped tests ran.
  Outcome outcome() const;
  /// A rule with several tests has failed when one of them has.
  RuleResult result_of(const Rule& rule) const;
  /// The command that runs one test of this report again, exactly.
  std::string replay_command(const TestCase& test) const;
};

/// One row a family, over the rules that the report's filter names or its tests carry.
std::vector<FamilyRow> by_family(const RunReport& report, const Catalogue& catalogue);
std::string family_table(std::span<const FamilyRow> rows);

std::string to_junit(const RunReport& report);
std::string to_json(const RunReport& report, const Catalogue& catalogue);

}  // namespace ringside::conformance
