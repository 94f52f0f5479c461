#include "conformance/live/live_net.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "conformance/report/outcome.hpp"
#include "conformance/rig/profiles.hpp"

namespace ringside::conformance {
namespace {

constexpr unsigned kEthernetAndVlan = 14 + 4;
constexpr uint64_t kGuestKib = 64 << 10;
constexpr uint64_t kKibPerQueue = 16 << 10;

backends::TapDevice open_tap(const std::string& name, bool multi_queue) {
  std::string error;
  auto device = backends::TapDevice::open(name, multi_queue, error);
  if (!device) throw Problem("no live network: " + error);
  return *std::move(device);
}

void require_fits(const LiveNetConfig& config, const backends::NetbackProfile& profile) {
  const unsigned most = platform::kPageSize - profile.receive_offset - kEthernetAndVlan;
  if (profile.scatter_gather || config.mtu <= most) return;
  throw Problem(
      fmt::format("the back end {} takes one page a frame: --mtu {} at most", profile.name, most));
}

void bring_up_side(const std::string& interface, InterfaceConfig config, unsigned mtu) {
  bring_up("lo", {});
  config.mtu = mtu;
  bring_up(interface, config);
}

}  // namespace

LiveNet::LiveNet(const LiveNetConfig& config) : config_(config) {
  require_fits(config_, net_profile(config_.backend));
  if (!config_.record.empty()) recorder_ = std::make_unique<NetRecorder>(config_.record);
  poller_ = backends::Poller::create();
  if (!poller_) throw Problem(fmt::format("no live network: epoll: {}", std::strerror(errno)));
  start_host();
  connect();
  wire_up();
}

LiveNet::~LiveNet() {
  if (tap_) tap_->stop();
}

void LiveNet::start_host() {
  HostConfig host;
  host.threaded = true;
  host.machine.direct_maps = true;
  host_ = std::make_unique<Host>(host);
  peer_namespace_.run([this] {
    port_ = std::make_unique<backends::TapPort>(open_tap(kPeerInterface, /*multi_queue=*/false),
                                                *poller_);
  });
  netback_ = start_netback(
      *host_, [this](uint16_t, unsigned) { return port_.get(); }, net_profile(config_.backend));
  const sim::GuestConfig guest{.vcpus = config_.queues,
                               .memory_kib = kGuestKib + config_.queues * kKibPerQueue};
  guest_ = std::make_unique<DriverGuest>(
      *host_, guest, nullptr,
      std::map<std::string, uint32_t>{{"FrontendMaxQueues", config_.queues}});
}

void LiveNet::connect() {
  tap_ = std::make_unique<GuestTap>();
  vif_ = std::make_unique<VifDevice>(*guest_, *tap_);
  host_->toolstack().write(vif_->paths().frontend + "/mtu", std::to_string(config_.mtu));
  if (recorder_) {
    recorder_->watch("vif1.0", guest_->domain(), vif_->vif(), config_.queues, nullptr, nullptr);
  }
  if (!vif_->connect()) throw RigError("the vif of the live network did not connect");
  host_->require("the link", [this] { return tap_->up(); });
}

void LiveNet::wire_up() {
  std::vector<backends::TapDevice> devices;
  InterfaceConfig guest = guest_addresses();
  guest.mac = sim::VifConfig{}.mac;
  guest_namespace_.run([&] {
    for (unsigned i = 0; i < queues(); ++i) {
      devices.push_back(open_tap(kGuestInterface, /*multi_queue=*/queues() > 1));
    }
    bring_up_side(kGuestInterface, guest, config_.mtu);
  });
  tap_->attach(*guest_, vif_->vif(), std::move(devices), *poller_);
  peer_namespace_.run([&] { bring_up_side(kPeerInterface, peer_addresses(), config_.mtu); });
  started_ = host_->world().now();
}

LiveNetReport LiveNet::close() {
  LiveNetReport report;
  report.seconds = static_cast<double>(host_->world().now() - started_) / platform::kSecond;
  tap_->stop();
  if (!vif_->close()) report.findings.push_back("the vif did not close");
  guest_->run([&] {
    report.guest = tap_->counters();
    for (unsigned i = 0; i < queues(); ++i) {
      report.transmitted.push_back(vif_->vif().queue(i).transmit_statistics());
      report.received.push_back(vif_->vif().queue(i).receive_statistics());
    }
  });
  vif_.reset();
  tap_.reset();
  netback_.reset();
  report.peer = port_->counters();
  port_.reset();
  for (const std::string& leak : guest_->shut_down()) report.findings.push_back(leak);
  guest_.reset();
  for (const std::string& leak : host_->audit()) report.findings.push_back(leak);
  if (recorder_) report.recorded = recorder_->finish();
  return report;
}

}  // namespace ringside::conformance
