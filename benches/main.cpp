#include <benchmark/benchmark.h>

#include <vector>

#include "benches/ratios.hpp"

int main(int argc, char** argv) {
  // Repetitions of all benchmarks take turns, so that a noisy moment hits both of a pair.
  // What the caller says comes later and wins.
  static char repetitions[] = "--benchmark_repetitions=5";
  static char interleave[] = "--benchmark_enable_random_interleaving=true";
  static char duration[] = "--benchmark_min_time=0.1";
  std::vector<char*> arguments{argv[0], repetitions, interleave, duration};
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);

  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 4;
  ringside::benches::RatioReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  return 0;
}
