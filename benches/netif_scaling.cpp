#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "benches/statistics.hpp"
#include "benches/svg_plot.hpp"
#include "benches/vif_traffic.hpp"

// What a packet costs as packets, queues and vifs become more: a table, and a plot for
// out/netif_scaling.svg. Counted as in netif_vs_dpdk.cpp. With several vifs each sends, or is sent,
// a burst in turn, 25 of them in a guest.

namespace ringside::benches {
namespace {

constexpr unsigned kRounds = 3;
constexpr double kSeconds = 0.1;

struct Kind {
  const char* name;
  Direction direction;
  Way way;
};
constexpr Kind kKinds[] = {{"transmit, granted", Direction::kTransmit, Way::kGranted},
                           {"transmit, copied", Direction::kTransmit, Way::kCopied},
                           {"transmit, persistent", Direction::kTransmit, Way::kPersistent},
                           {"receive", Direction::kReceive, Way::kCopied}};

/// One axis along which the traffic grows.
struct Axis {
  const char* title;
  const char* name;
  std::vector<unsigned> values;
  TrafficShape (*shape)(unsigned value);
};

double cost_of(const TrafficShape& shape) {
  VifTraffic traffic(shape);
  std::vector<double> turns;
  for (unsigned i = 0; i < kRounds; ++i) turns.push_back(traffic.measure(kSeconds));
  return median(turns);
}

Panel measure(const Axis& axis) {
  Panel panel{axis.title, axis.name, {}};
  for (const Kind& kind : kKinds) panel.curves.push_back({kind.name, {}});
  fmt::print("\n{:>12}", axis.name);
  for (const Kind& kind : kKinds) fmt::print("  {:>20}", kind.name);
  fmt::print("\n");
  for (const unsigned value : axis.values) {
    fmt::print("{:>12}", value);
    for (size_t i = 0; i < std::size(kKinds); ++i) {
      TrafficShape shape = axis.shape(value);
      shape.direction = kKinds[i].direction;
      shape.way = kKinds[i].way;
      const double cost = cost_of(shape);
      panel.curves[i].points.emplace_back(value, cost);
      fmt::print("  {:>20.1f}", cost);
      std::fflush(stdout);
    }
    fmt::print("\n");
  }
  return panel;
}

int run(const std::filesystem::path& file) {
  const std::vector<Axis> axes{
      {"One queue, by size",
       "bytes",
       {64, 128, 256, 512, 1024, 1500, kLargest},
       [](unsigned bytes) { return TrafficShape{.bytes = bytes}; }},
      {"1,500 bytes, by queues",
       "queues",
       {1, 2, 4},
       [](unsigned queues) { return TrafficShape{.bytes = 1500, .queues = queues}; }},
      {"64 bytes, by vifs", "vifs", {1, 10, 100, 1000}, [](unsigned vifs) {
         return TrafficShape{.vifs = vifs};
       }}};
  fmt::print("Nanoseconds of CPU time a packet: medians of {} turns\n", kRounds);
  std::vector<Panel> panels;
  for (const Axis& axis : axes) panels.push_back(measure(axis));
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path());
  std::ofstream out(file);
  out << svg_plot(panels, "ns/packet");
  out.close();
  if (!out) {
    fmt::print("\nERROR: can't write {}\n", file.string());
    return 1;
  }
  fmt::print("\nplotted in {}\n", file.string());
  return 0;
}

}  // namespace
}  // namespace ringside::benches

int main(int argc, char** argv) {
  try {
    return ringside::benches::run(argc > 1 ? argv[1] : "out/netif_scaling.svg");
  } catch (const std::exception& why) {
    fmt::print("ERROR: {}\n", why.what());
    return 1;
  }
}
