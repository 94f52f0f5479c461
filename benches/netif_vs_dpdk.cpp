#include <fmt/format.h>
#include <sched.h>

#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "benches/statistics.hpp"
#include "benches/testpmd.hpp"
#include "benches/vif_traffic.hpp"

// What a packet costs across our rings and across virtqueues, in one run, in turns.
//
// Counted is the same on both sides: all CPU time that a process spends while one thread, pinned
// to one processor, plays both ends of the device, by the packets that came out at the far end.
// CPU time, so that others on the machine count for nothing. Ours: front end, simulated Xen with
// its grants and events, netback, and each packet's completion, over profile "linux" (which maps
// or copies) and "full" (static grants). DPDK's: testpmd in io mode, net_null to virtio_user to
// vhost to net_null; it polls, so it has no events, no grants, and no untrusted peer. Both move
// bursts of 32 packets, 8 of 64 KiB, on each queue, with 4 KiB pages of memory.

namespace ringside::benches {
namespace {

constexpr unsigned kRounds = 5;
constexpr double kSeconds = 0.15;

struct Contender {
  std::string name;
  std::function<double()> measure;
  std::vector<double> nanoseconds{};
};

const char* to_string(Way way) {
  switch (way) {
    case Way::kGranted: return "granted";
    case Way::kCopied: return "copied";
    case Way::kPersistent: return "persistent";
  }
  return "";
}

unsigned pin_to_last_cpu() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) throw NoMeasurement("no CPU is known");
  unsigned last = 0;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) last = cpu;
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(last, &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) throw NoMeasurement("can't be pinned to a CPU");
  return last;
}

void report(const std::string& label, const std::vector<Contender>& all) {
  for (const Contender& one : all) {
    if (one.nanoseconds.empty()) continue;
    const double cost = median(one.nanoseconds);
    std::string ratios;
    for (const Contender& peer : all) {
      if (one.name.starts_with("dpdk")) break;
      if (!peer.name.starts_with("dpdk") || peer.nanoseconds.empty()) continue;
      ratios += fmt::format("  {:5.2f}", median(peer.nanoseconds) / cost);
    }
    fmt::print("{:<24}  {:<12}  {:>9.1f}  {:>9.3f}  {:>6.2f}{}\n", label, one.name, cost,
               1e3 / cost, spread(one.nanoseconds), ratios);
  }
  std::fflush(stdout);
}

/// One line for each contender: they take turns, so that a noisy moment hits them all.
void compare(Direction direction, uint32_t bytes, unsigned queues, unsigned cpu) {
  std::vector<std::unique_ptr<Testpmd>> peers;
  std::vector<Contender> all;
  for (const Way way : {Way::kGranted, Way::kCopied, Way::kPersistent}) {
    if (direction == Direction::kReceive && way != Way::kCopied) continue;
    const TrafficShape shape{direction, bytes, way, queues, 1};
    all.push_back({to_string(way), [shape] { return VifTraffic(shape).measure(kSeconds); }});
  }
  for (const bool packed : {false, true}) {
    peers.push_back(
        std::make_unique<Testpmd>(Testpmd::Config{direction, bytes, queues, packed, cpu}));
    all.push_back({packed ? "dpdk packed" : "dpdk split",
                   [peer = peers.back().get()] { return peer->measure(kSeconds); }});
  }
  for (unsigned round = 0; round < kRounds; ++round) {
    for (Contender& one : all) one.nanoseconds.push_back(one.measure());
  }
  report(
      fmt::format("{} {} B, {} queue{}", direction == Direction::kTransmit ? "transmit" : "receive",
                  bytes, queues, queues == 1 ? "" : "s"),
      all);
}

int run() {
  const unsigned cpu = pin_to_last_cpu();
  try {
    const Testpmd probe({.cpu = cpu});
  } catch (const NoMeasurement& why) {
    fmt::print("SKIPPED: {}\n", why.what());
    return 0;
  }
  fmt::print(
      "Nanoseconds of CPU time a packet on CPU {}: medians of {} turns; spread: slowest by "
      "fastest;\nratios: how many times the rate of DPDK's split and packed ring\n\n",
      cpu, kRounds);
  fmt::print("{:<24}  {:<12}  {:>9}  {:>9}  {:>6}  {:>5}  {:>5}\n", "", "", "ns/packet",
             "M packets", "spread", "split", "packed");
  for (const Direction direction : {Direction::kTransmit, Direction::kReceive}) {
    for (const uint32_t bytes : {64u, 1500u, kLargest}) {
      for (const unsigned queues : {1u, 2u}) compare(direction, bytes, queues, cpu);
    }
  }
  return 0;
}

}  // namespace
}  // namespace ringside::benches

int main() {
  try {
    return ringside::benches::run();
  } catch (const ringside::benches::NoMeasurement& why) {
    fmt::print("ERROR: {}\n", why.what());
    return 1;
  }
}
