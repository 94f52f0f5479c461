#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {

/// A test as Google Test knows it, with the rules its name carries.
struct TestCase {
  std::string suite;
  std::string name;
  std::vector<std::string> rules;

  std::string full_name() const { return suite + "." + name; }
};

/// What became of one test.
struct TestRecord {
  TestCase test;
  Outcome outcome = Outcome::kSuccess;
  std::string message;  ///< why, for anything but success
  std::string output;   ///< what the test printed, kept when it did not succeed
  double seconds = 0;
  std::string replay;  ///< the command, when it is not the report's own
};

/// All tests linked into this program. Google Test must be initialised.
std::vector<TestCase> registered_tests();

/// Whether the glob names the test: by a rule id (NETIF-TX-*), by its name (RING_*) or by
/// Suite.Name. Several globs may be joined by ':'.
bool matches(const TestCase& test, std::string_view globs);
bool matches_rule(std::string_view rule, std::string_view globs);

}  // namespace ringside::conformance
