#pragma once

#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <vector>

namespace ringside::benches {

/// Google Benchmark's table, and behind it how each pair of programs compares.
///
/// A pair is "X/ours..." and "X/xen_macros..." of one run. Its ratio is taken of medians over the
/// repetitions, which the caller has asked to be interleaved, and is no result when either
/// side's slowest repetition took more than twice its fastest.
class RatioReporter final : public benchmark::ConsoleReporter {
 public:
  RatioReporter() : ConsoleReporter(OO_None) {}

  void ReportRuns(const std::vector<Run>& reports) override;
  void Finalize() override;

 private:
  std::map<std::string, std::vector<double>> nanoseconds_;  ///< by name, a repetition each
};

}  // namespace ringside::benches
