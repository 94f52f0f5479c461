#pragma once

#include <span>

#include "conformance/runner/tests.hpp"

namespace ringside::conformance {

/// The property by which a test says that the bench, not the driver, is at fault:
/// RecordProperty(kOutcomeProperty, "ERROR").
inline constexpr const char* kOutcomeProperty = "ringside_outcome";

/// The child's side of run_isolated(): runs the tests and reports each start and end as a
/// line of JSON on `report_fd`. Whatever the tests print goes to `output_fd`.
[[noreturn]] void run_as_child(std::span<const TestCase> tests, int report_fd, int output_fd);

}  // namespace ringside::conformance
