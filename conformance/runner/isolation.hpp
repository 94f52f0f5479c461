#pragma once

#include <functional>
#include <span>
#include <vector>

#include "conformance/runner/tests.hpp"

namespace ringside::conformance {

struct IsolationOptions {
  /// A test that takes longer counts as hung: CRASH.
  unsigned timeout_seconds = 120;
  /// Called before each test with how many are done; for a progress line.
  std::function<void(size_t done, const TestCase& next)> progress;
};

/// Runs the tests in child processes: one child runs until it ends, crashes or hangs; then
/// the next takes up the rest. So one bad test costs its own result and no other's.
/// Returns one record a test, in the order given.
std::vector<TestRecord> run_isolated(std::span<const TestCase> tests,
                                     const IsolationOptions& options);

}  // namespace ringside::conformance
