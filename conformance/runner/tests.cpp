#include "conformance/runner/tests.hpp"

#include <fnmatch.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "conformance/report/catalogue.hpp"

namespace ringside::conformance {
namespace {

bool any_glob(std::string_view globs, const std::function<bool(const char*)>& accepts) {
  for (size_t at = 0; at <= globs.size();) {
    const size_t end = std::min(globs.find(':', at), globs.size());
    if (accepts(std::string(globs.substr(at, end - at)).c_str())) return true;
    at = end + 1;
  }
  return false;
}

bool glob(const char* pattern, const std::string& text) {
  return fnmatch(pattern, text.c_str(), 0) == 0;
}

}  // namespace

std::vector<TestCase> registered_tests() {
  std::vector<TestCase> tests;
  const auto* unit = testing::UnitTest::GetInstance();
  for (int s = 0; s < unit->total_test_suite_count(); ++s) {
    const auto* suite = unit->GetTestSuite(s);
    for (int t = 0; t < suite->total_test_count(); ++t) {
      const std::string name = suite->GetTestInfo(t)->name();
      tests.push_back({suite->name(), name, rule_ids_of_test(name)});
    }
  }
  return tests;
}

bool matches(const TestCase& test, std::string_view globs) {
  return any_glob(globs, [&](const char* pattern) {
    return glob(pattern, test.name) || glob(pattern, test.full_name()) ||
           std::any_of(test.rules.begin(), test.rules.end(),
                       [&](const std::string& rule) { return glob(pattern, rule); });
  });
}

bool matches_rule(std::string_view rule, std::string_view globs) {
  std::string as_test_name(rule);
  std::replace(as_test_name.begin(), as_test_name.end(), '-', '_');
  return any_glob(globs, [&](const char* pattern) {
    return glob(pattern, std::string(rule)) || glob(pattern, as_test_name + "_");
  });
}

}  // namespace ringside::conformance
