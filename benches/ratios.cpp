#include "benches/ratios.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace ringside::benches {
namespace {

constexpr std::string_view kOurs = "/ours";
constexpr std::string_view kPeer = "/xen_macros";
constexpr double kMostSpread = 2;

double median(std::vector<double> values) {
  const size_t middle = values.size() / 2;
  std::sort(values.begin(), values.end());
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double spread(const std::vector<double>& values) {
  const auto [fastest, slowest] = std::minmax_element(values.begin(), values.end());
  return *slowest / *fastest;
}

}  // namespace

void RatioReporter::ReportRuns(const std::vector<Run>& reports) {
  std::vector<Run> shown;
  for (const Run& run : reports) {
    if (run.run_type == Run::RT_Iteration && !run.error_occurred) {
      nanoseconds_[run.run_name.str()].push_back(run.GetAdjustedCPUTime());
    }
    const bool telling = run.run_type == Run::RT_Iteration
                             ? run.repetitions <= 1
                             : run.aggregate_name == "median" || run.aggregate_name == "cv";
    if (telling || run.error_occurred) shown.push_back(run);
  }
  if (!shown.empty()) ConsoleReporter::ReportRuns(shown);
}

void RatioReporter::Finalize() {
  ConsoleReporter::Finalize();
  for (const auto& [ours, times] : nanoseconds_) {
    const size_t at = ours.find(kOurs);
    if (at == std::string::npos) continue;
    const auto peer = nanoseconds_.find(std::string(ours).replace(at, kOurs.size(), kPeer));
    if (peer == nanoseconds_.end()) continue;
    const auto& [name, peer_times] = *peer;
    const bool noisy = spread(times) > kMostSpread || spread(peer_times) > kMostSpread;
    fmt::print("{}: {:.2f} times what {} takes (medians of {}, spread {:.2f} and {:.2f}){}\n", ours,
               median(times) / median(peer_times), name, times.size(), spread(times),
               spread(peer_times), noisy ? ": too noisy, no result" : "");
  }
}

}  // namespace ringside::benches
