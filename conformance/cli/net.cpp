#include <fmt/format.h>

#include <numeric>

#include "conformance/cli/command.hpp"
#include "conformance/cli/verbs.hpp"
#include "conformance/live/live_net.hpp"
#include "conformance/rig/profiles.hpp"

namespace ringside::conformance {
namespace {

struct UpRequest {
  LiveNetConfig config;
  std::vector<std::string> command;
  std::string way;  ///< what nsenter needs besides the network namespace
};

template <typename T>
uint64_t sum(const std::vector<T>& queues, uint64_t T::*field) {
  return std::accumulate(queues.begin(), queues.end(), uint64_t{0},
                         [field](uint64_t total, const T& queue) { return total + queue.*field; });
}

template <typename T>
std::string by_queue(const std::vector<T>& queues) {
  std::string text;
  for (const T& queue : queues) text += fmt::format("{}{}", text.empty() ? "" : "+", queue.packets);
  return text;
}

uint64_t dropped(const std::vector<xenvif::RxStatistics>& queues) {
  uint64_t total = 0;
  for (const xenvif::RxStatistics& queue : queues) {
    total = std::accumulate(queue.dropped.begin(), queue.dropped.end(), total);
  }
  return total;
}

void print_table(const LiveNetReport& report) {
  const auto row = [](std::string_view what, const auto& to_peer, const auto& to_guest) {
    fmt::print(stderr, "{:<28}{:>16}{:>16}\n", what, to_peer, to_guest);
  };
  const auto& [guest, peer, sent, received, seconds, recorded, findings] = report;
  const auto rate = [seconds = seconds](uint64_t bytes) {
    return fmt::format("{:.1f}", static_cast<double>(bytes) * 8 / 1e6 / seconds);
  };
  const uint64_t bytes_sent = sum(sent, &xenvif::TxStatistics::bytes);
  const uint64_t bytes_received = sum(received, &xenvif::RxStatistics::bytes);
  row("", "guest to peer", "peer to guest");
  row("from the TAP", guest.read, peer.to_guest + peer.unknown);
  row("packets on the rings", by_queue(sent), by_queue(received));
  row("  for several TCP segments", guest.read_gso, guest.written_gso);
  row("  with a blank checksum", guest.read_blank, guest.written_blank);
  row("bytes", bytes_sent, bytes_received);
  row("Mbit/s", rate(bytes_sent), rate(bytes_received));
  row("ring slots", sum(sent, &xenvif::TxStatistics::slots),
      sum(received, &xenvif::RxStatistics::slots));
  row("pages granted in place", sum(sent, &xenvif::TxStatistics::granted), "-");
  row("packets copied", sum(sent, &xenvif::TxStatistics::copied), "-");
  row("packets cut in software", sum(sent, &xenvif::TxStatistics::segmented), "-");
  row("ring was full", sum(sent, &xenvif::TxStatistics::blocked), "-");
  row("to the TAP", peer.to_network, guest.written);
  row("dropped", guest.unknown + guest.unsent + peer.refused,
      peer.unknown + dropped(received) + guest.refused);
}

std::vector<std::string> settings_of(const LiveNet& net) {
  const InterfaceConfig guest = LiveNet::guest_addresses();
  const InterfaceConfig peer = LiveNet::peer_addresses();
  return {"RINGSIDE_GUEST_NS=" + net.guest_namespace().path(),
          "RINGSIDE_GUEST_IPV4=" + guest.ipv4,
          "RINGSIDE_GUEST_IPV6=" + guest.ipv6,
          "RINGSIDE_PEER_NS=" + net.peer_namespace().path(),
          "RINGSIDE_PEER_IPV4=" + peer.ipv4,
          "RINGSIDE_PEER_IPV6=" + peer.ipv6};
}

void print_sides(LiveNet& net, const UpRequest& request) {
  const auto side = [&](std::string_view name, std::string_view interface,
                        const InterfaceConfig& addresses, const NetNamespace& where) {
    fmt::print(stderr, "{:<6} {:<7} {}  {}  nsenter {}--net={}\n", name, interface, addresses.ipv4,
               addresses.ipv6, request.way, where.path());
  };
  side("guest", LiveNet::kGuestInterface, LiveNet::guest_addresses(), net.guest_namespace());
  side("peer", LiveNet::kPeerInterface, LiveNet::peer_addresses(), net.peer_namespace());
  fmt::print(stderr, "back end {}, queues {}, MTU {}; Ctrl-C ends it\n", request.config.backend,
             net.queues(), request.config.mtu);
}

/// Runs the command in the guest's namespace, or waits for Ctrl-C; the exit code.
int stay_up(LiveNet& net, const UpRequest& request) {
  if (request.command.empty()) {
    const EndSignal end;
    print_sides(net, request);
    (void)net.host().run_until([&] { return end.came(); }, platform::kForever);
    return 0;
  }
  net.guest_namespace().enter();
  const int code = run_command(request.command, settings_of(net), "RINGSIDE_");
  net.guest_namespace().end_processes();
  net.peer_namespace().end_processes();
  return code;
}

Outcome up(UpRequest& request) {
  require_profile(request.config.backend, ProfileKind::kNet);
  request.way = prepare_for_namespaces();
  LiveNet net(request.config);
  const int code = stay_up(net, request);
  const LiveNetReport report = net.close();
  print_table(report);
  if (!request.config.record.empty()) {
    fmt::print(stderr, "{} frames recorded in {}\n", report.recorded, request.config.record);
  }
  for (const std::string& finding : report.findings) fmt::print(stderr, "  {}\n", finding);
  if (!report.findings.empty()) return Outcome::kFailure;
  throw ExitCode{code};
}

constexpr const char* kFooter = R"(
Examples:
  ringside net up                                   until Ctrl-C; nsenter --net=... goes inside
  ringside net up -- sh -c 'ping -c 5 -s 8000 $RINGSIDE_PEER_IPV4'
  ringside net up --mtu 9000 --queues 2 -- bash     look around from the guest's side
  ringside net up --record live.pcapng -- ping -c 1 192.0.2.1
  ringside net up -- sh -c 'nsenter --net=$RINGSIDE_PEER_NS iperf3 -s -1 -D; sleep 1;
                            iperf3 -c $RINGSIDE_PEER_IPV6'

The command runs in the guest's network namespace. In its environment are RINGSIDE_GUEST_NS and
RINGSIDE_PEER_NS, for nsenter --net, and the addresses: RINGSIDE_GUEST_IPV4, RINGSIDE_GUEST_IPV6,
RINGSIDE_PEER_IPV4, RINGSIDE_PEER_IPV6. What it leaves running in either namespace is ended.

Exit code: the command's, or 128 and the number of the signal that ended it; 4 when there can be no
such network, 5 when something was left behind in the simulated Xen.)";

}  // namespace

void add_net(CLI::App& app, Action& action) {
  auto* verb = app.add_subcommand("net", "A live network through front end and back end");
  verb->require_subcommand(1);
  auto* up_verb =
      verb->add_subcommand("up", "Join two network namespaces through TAP, rings and TAP");
  auto request = std::make_shared<UpRequest>();
  up_verb->footer(kFooter);
  up_verb->add_option("--backend", request->config.backend, "Profile of the back end")
      ->capture_default_str();
  up_verb->add_option("--mtu", request->config.mtu, "Of both interfaces")
      ->check(CLI::Range(LiveNet::kSmallestMtu, LiveNet::kLargestMtu))
      ->capture_default_str();
  up_verb
      ->add_option("--queues", request->config.queues,
                   "Of the front end, a CPU each; the back end may offer fewer")
      ->check(CLI::Range(1u, LiveNet::kMostQueues))
      ->capture_default_str();
  up_verb->add_option("--record", request->config.record,
                      "Write what crosses the rings to this pcapng file");
  up_verb->add_option("COMMAND", request->command, "What to run, and its arguments, after --");
  up_verb->callback([&action, request] { action = [request] { return up(*request); }; });
}

}  // namespace ringside::conformance
