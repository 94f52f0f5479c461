#include "benches/ratios.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "benches/statistics.hpp"

namespace ringside::benches {
namespace {

constexpr std::string_view kOurs = "/ours";
constexpr double kMostSpread = 2;

std::string operations(double nanoseconds) {
  const double each_second = 1e9 / nanoseconds;
  if (each_second >= 1e6) return fmt::format("{:.2f} M", each_second / 1e6);
  if (each_second >= 1e3) return fmt::format("{:.2f} k", each_second / 1e3);
  return fmt::format("{:.2f}  ", each_second);
}

/// "X/PEER..." for "X/ours...", whatever the peer is called.
bool is_peer(std::string_view name, std::string_view ours) {
  const size_t at = ours.find(kOurs);
  const std::string_view before = ours.substr(0, at + 1);
  const std::string_view after = ours.substr(at + kOurs.size());
  if (name == ours || !name.starts_with(before) || !name.ends_with(after)) return false;
  if (name.size() <= before.size() + after.size()) return false;
  const auto peer = name.substr(before.size(), name.size() - before.size() - after.size());
  return peer.find('/') == std::string_view::npos;
}

}  // namespace

bool RatioReporter::ReportContext(const Context& context) {
  fmt::print("{} CPUs at {:.0f} MHz; all benchmarks take turns, the table comes at the end\n\n",
             context.cpu_info.num_cpus, context.cpu_info.cycles_per_second / 1e6);
  std::fflush(stdout);
  return true;
}

void RatioReporter::ReportRuns(const std::vector<Run>& reports) {
  for (const Run& run : reports) {
    const std::string name = run.run_name.str();
    if (run.error_occurred) {
      errors_[name] = run.error_message;
    } else if (run.run_type == Run::RT_Iteration) {
      const auto rate = run.counters.find("items_per_second");
      nanoseconds_[name].push_back(rate == run.counters.end() ? run.GetAdjustedCPUTime()
                                                              : 1e9 / rate->second.value);
    }
  }
}

void RatioReporter::print_table() const {
  size_t width = 0;
  for (const auto& [name, times] : nanoseconds_) width = std::max(width, name.size());
  fmt::print("{:<{}}  {:>12}  {:>14}  {:>6}\n", "benchmark", width, "ns/operation", "operations/s",
             "spread");
  for (const auto& [name, times] : nanoseconds_) {
    fmt::print("{:<{}}  {:>12.1f}  {:>14}  {:>6.2f}\n", name, width, median(times),
               operations(median(times)), spread(times));
  }
  for (const auto& [name, message] : errors_) fmt::print("{}: ERROR: {}\n", name, message);
}

void RatioReporter::print_ratios() const {
  for (const auto& [ours, times] : nanoseconds_) {
    if (ours.find(kOurs) == std::string::npos) continue;
    for (const auto& [name, peer_times] : nanoseconds_) {
      if (!is_peer(name, ours)) continue;
      const bool noisy = spread(times) > kMostSpread || spread(peer_times) > kMostSpread;
      fmt::print("{}: {:.2f} times what {} takes{}\n", ours, median(times) / median(peer_times),
                 name, noisy ? ": too noisy, no result" : "");
    }
  }
}

void RatioReporter::Finalize() {
  print_table();
  fmt::print("\nRatios of medians; a spread (slowest by fastest repetition) over {} is no result\n",
             kMostSpread);
  print_ratios();
}

}  // namespace ringside::benches
