#include "benches/testpmd.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

namespace ringside::benches {
namespace {

constexpr const char* kPrompt = "testpmd> ";
constexpr int kPatience = 20'000;  // ms for one answer

// As testpmd numbers its ports.
constexpr unsigned kVhost = 1;
constexpr unsigned kVirtio = 3;

/// As many packets as a ring of netif has room for, so that both sides' memory is as hot; with
/// large ones the fewest that virtio allows, twice that.
constexpr unsigned ring_size(uint32_t bytes) { return bytes > platform::kPageSize ? 32 : 256; }

constexpr unsigned kMaxBuffer = 65535;
constexpr double kWarmUp = 0.05;  // seconds

std::string last_line(const std::string& text) {
  std::string last;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find_first_of("\r\n", at), text.size());
    if (end > at) last = text.substr(at, end - at);
    at = end + 1;
  }
  return last;
}

/// The number behind "RX-packets:" of that port's summary, which is all that it received.
uint64_t received(const std::string& summary, unsigned port) {
  constexpr std::string_view kField = "RX-packets:";
  size_t at = summary.find(fmt::format("Forward statistics for port {} ", port));
  if (at != std::string::npos) at = summary.find(kField, at);
  uint64_t packets = 0;
  if (at != std::string::npos) {
    at = summary.find_first_not_of(' ', at + kField.size());
    std::from_chars(summary.data() + at, summary.data() + summary.size(), packets);
  }
  if (packets == 0) throw NoMeasurement("testpmd moved no packets");
  return packets;
}

}  // namespace

Testpmd::Testpmd(const Config& config) : config_(config) {
  char pattern[] = "/tmp/ringside-testpmd.XXXXXX";
  if (mkdtemp(pattern) == nullptr) throw NoMeasurement("can't make a folder in /tmp");
  folder_ = pattern;
  try {
    spawn();
    attach();
  } catch (const NoMeasurement&) {
    finish();
    throw;
  }
}

Testpmd::~Testpmd() { finish(); }

void Testpmd::spawn() {
  const bool transmit = config_.direction == Direction::kTransmit;
  const bool large = config_.bytes > platform::kPageSize;
  // Where no packet comes from: the side that only swallows.
  const auto null = [&](unsigned index, bool source) {
    return fmt::format("net_null{},size={}{}", index, config_.bytes, source ? "" : ",no-rx=1");
  };
  const unsigned other = config_.cpu == 0 && std::thread::hardware_concurrency() > 1 ? 1 : 0;
  const unsigned ring = ring_size(config_.bytes);
  std::vector<std::string> words{
      "dpdk-testpmd",
      "--lcores",
      fmt::format("0@{},1@{}", other, config_.cpu),
      "--no-huge",
      "--no-shconf",
      "--no-pci",
      "--no-telemetry",
      "-m",
      large ? "512" : "256",
      "--vdev",
      null(0, transmit),
      "--vdev",
      fmt::format("net_vhost0,iface={}/ring,queues={}", folder_, config_.queues),
      "--vdev",
      null(1, !transmit),
      "--",
      "-i",
      "--no-numa",
      "--nb-cores=1",
      fmt::format("--rxq={}", config_.queues),
      fmt::format("--txq={}", config_.queues),
      fmt::format("--rxd={}", ring),
      fmt::format("--txd={}", ring),
      fmt::format("--burst={}", burst_of(config_.bytes)),
      fmt::format("--total-num-mbufs={}", large ? 1536 : 4096),
      fmt::format("--mbuf-size={}", large ? kMaxBuffer : 2176)};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  // A terminal, or its answers would come in blocks of 4 KiB.
  child_ = forkpty(&terminal_, nullptr, nullptr, nullptr);
  if (child_ < 0) throw NoMeasurement("there is no pseudo terminal for testpmd");
  if (child_ == 0) {
    execvp(argv[0], argv.data());
    _exit(127);
  }
}

void Testpmd::attach() {
  await(kPrompt);
  // Not on the command line: virtio_user connects at once, vhost listens once it is configured.
  const std::string answer =
      ask(fmt::format("port attach net_virtio_user0,path={}/ring,queues={},queue_size={},{}",
                      folder_, config_.queues, ring_size(config_.bytes),
                      config_.packed ? "packed_vq=1,in_order=1" : "packed_vq=0,in_order=0"));
  if (answer.find(fmt::format("Port {} is attached", kVirtio)) == std::string::npos) {
    throw NoMeasurement("testpmd can't attach virtio_user: " + last_line(answer));
  }
  ask(fmt::format("port start {}", kVirtio));
  ask(fmt::format("set portlist 0,{},{},2", kVirtio, kVhost));
  (void)measure(kWarmUp);
}

double Testpmd::measure(double seconds) {
  const double begin = cpu_seconds(child_);
  ask("start");
  // Its own CPU time: where others want the processor too, little of it may be had in `seconds`,
  // and starting and stopping would weigh too much.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatience);
  while (cpu_seconds(child_) < begin + seconds && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const std::string summary = ask("stop");
  const double spent = cpu_seconds(child_) - begin;
  const unsigned end = config_.direction == Direction::kTransmit ? kVhost : kVirtio;
  return spent * 1e9 / static_cast<double>(received(summary, end));
}

std::string Testpmd::ask(const std::string& command) {
  const std::string line = command + "\n";
  if (write(terminal_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    throw NoMeasurement("testpmd does not listen");
  }
  return await(kPrompt);
}

/// What testpmd says up to `text` and a little beyond: some it says unasked.
std::string Testpmd::await(const char* text) {
  std::string said;
  while (said.find(text) == std::string::npos) {
    pollfd waiting{terminal_, POLLIN, 0};
    char buffer[4096];
    const ssize_t length =
        ::poll(&waiting, 1, kPatience) == 1 ? read(terminal_, buffer, sizeof buffer) : 0;
    if (length <= 0) {
      throw NoMeasurement(said.empty()
                              ? "dpdk-testpmd did not start; on Debian it needs the packages "
                                "dpdk-dev, librte-net-vhost23, librte-net-virtio23, "
                                "librte-net-null23 and librte-mempool-ring23"
                              : "testpmd: " + last_line(said));
    }
    said.append(buffer, static_cast<size_t>(length));
  }
  return said;
}

void Testpmd::finish() {
  if (child_ > 0) {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  if (terminal_ >= 0) close(terminal_);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

}  // namespace ringside::benches
