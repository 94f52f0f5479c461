#pragma once

#include <string>

#include "conformance/report/run_report.hpp"

namespace ringside::conformance {

struct ConformanceRequest {
  std::string filter = "*";
  std::string junit;
  std::string json;
  unsigned timeout_seconds = 120;
};

/// Runs what the request selects, each test isolated. Throws Problem when nothing matches or
/// a report can't be written.
RunReport run_conformance(const ConformanceRequest& request);

/// Every test that did not succeed, why, and the command that replays it.
void print_trouble(const RunReport& report);
void print_table(const RunReport& report);

}  // namespace ringside::conformance
