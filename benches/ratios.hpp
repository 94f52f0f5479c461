#pragma once

#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <vector>

namespace ringside::benches {

/// One table of what an operation costs, and behind it how we compare with each peer.
///
/// A pair is "X/ours..." and "X/PEER..." of one run. Its ratio is taken of medians over the
/// repetitions, which the caller has asked to be interleaved, and is no result when either
/// side's slowest repetition took more than twice its fastest.
class RatioReporter final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& reports) override;
  void Finalize() override;

 private:
  void print_table() const;
  void print_ratios() const;

  std::map<std::string, std::vector<double>> nanoseconds_;  ///< an operation's, by name
  std::map<std::string, std::string> errors_;
};

}  // namespace ringside::benches
