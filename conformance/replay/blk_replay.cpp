#include "conformance/replay/blk_replay.hpp"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "conformance/daemons/qemu.hpp"
#include "conformance/replay/disk_load.hpp"
#include "conformance/rig/profiles.hpp"
#include "conformance/rig/ring_tap.hpp"
#include "conformance/rig/vbd_device.hpp"

namespace ringside::conformance {
namespace {

HostConfig config_of(const ReplayOptions& options) {
  HostConfig config;
  config.seed = options.seed;
  return config;
}

/// A guest with one disk on the image: served by our blkback in one seeded world, or by QEMU in a
/// process of its own.
class Cable {
 public:
  Cable(const ReplayOptions& options, const Image& image) {
    if (options.backend == kQemuQdisk) {
      real_ = std::make_unique<DropinHost>();
      guest_ = std::make_unique<DriverGuest>(host());
      vbd_config_.type = "qdisk";
      vbd_config_.params = "raw:" + std::filesystem::absolute(image.path()).string();
      qemu_ = start_qemu(*real_, guest_->domid());
      return;
    }
    simulated_ = std::make_unique<Host>(config_of(options));
    tap_ = std::make_unique<RingTap>(host().world().trace(), /*id=*/1);
    backends::Blkback::Config config;
    config.profile = blk_profile(options.backend);
    config.tap = tap_.get();
    // The store gets a fixed name: a digest must not depend on where the image lies.
    config.open_disk = [path = image.path()](
                           const backends::VbdIdentity&,
                           std::string& error) -> std::shared_ptr<backends::Disk> {
      return backends::FileDisk::open(path, backends::FileDisk::Mode::kReadWrite, error);
    };
    blkback_ = start_blkback(host(), std::move(config));
    guest_ = std::make_unique<DriverGuest>(host());
    vbd_config_.params = "replayed-image";
  }

  DriverGuest& guest() { return *guest_; }

  bool connect(DiskLoad& load) {
    vbd_ = std::make_unique<VbdDevice>(*guest_, load, vbd_config_);
    if (!vbd_->connect()) return false;
    if (tap_) (*vbd_)->queue(0).attach(tap_.get());
    return true;
  }
  xenvbd::Queue& queue() { return (*vbd_)->queue(0); }
  /// What QEMU had to say; empty without one.
  std::string complaint() const { return qemu_ ? qemu_->output() : ""; }

  void close_disk(Findings& findings) {
    if (vbd_ && !vbd_->close()) findings.add("the vbd did not close");
    vbd_.reset();
  }
  void shut_down(Findings& findings) {
    for (const std::string& leak : guest_->shut_down()) findings.add(leak);
    guest_.reset();
    blkback_.reset();
    qemu_.reset();
    for (const std::string& leak : real_ ? real_->audit() : host().audit()) findings.add(leak);
  }
  /// Empty in real time, where nothing comes twice.
  std::string digest() { return real_ ? "" : host().world().trace().digest(); }

 private:
  Host& host() { return real_ ? real_->host() : *simulated_; }

  std::unique_ptr<Host> simulated_;
  std::unique_ptr<DropinHost> real_;
  std::unique_ptr<RingTap> tap_;
  sim::VbdConfig vbd_config_;
  std::unique_ptr<BlkbackActor> blkback_;
  std::unique_ptr<DriverGuest> guest_;
  std::unique_ptr<ChildProcess> qemu_;
  std::unique_ptr<VbdDevice> vbd_;
};

void compare_image(const Image& image, const DeviceModel& model, BlkReplayReport& report) {
  if (const auto wrong = image.mismatch(model)) {
    report.findings.add(
        fmt::format("the image at byte {} does not hold what was written last", *wrong));
  } else {
    report.device_bytes = image.size();
  }
}

}  // namespace

size_t BlkReplayReport::dropped_count() const {
  return std::accumulate(dropped.begin(), dropped.end(), size_t{0},
                         [](size_t sum, const auto& entry) { return sum + entry.second; });
}

std::string BlkReplayReport::account() const {
  std::string text =
      fmt::format("{} requests: {} done ({} reads, {} writes, {} syncs, {} trims), {} dropped",
                  requests, done, reads, writes, syncs, trims, dropped_count());
  const char* separator = " (";
  for (const auto& [why, count] : dropped) {
    text += fmt::format("{}{}: {}", separator, why, count);
    separator = ", ";
  }
  return dropped.empty() ? text : text + ")";
}

std::string BlkReplayReport::to_json() const {
  const nlohmann::json all = {{"outcome", to_string(findings.outcome())},
                              {"seed", seed},
                              {"backend", backend},
                              {"requests", requests},
                              {"done", done},
                              {"reads", reads},
                              {"writes", writes},
                              {"syncs", syncs},
                              {"trims", trims},
                              {"dropped", dropped},
                              {"bytes_read", bytes_read},
                              {"bytes_written", bytes_written},
                              {"device_bytes_compared", device_bytes},
                              {"findings", findings.kept()},
                              {"finding_count", findings.count()},
                              {"digest", digest},
                              {"seconds", seconds}};
  return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

BlkReplayReport replay_blk(const IoLog& log, const Payload& payload, const Image& image,
                           const ReplayOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  BlkReplayReport report;
  report.requests = log.requests.size();
  report.seed = options.seed;
  report.backend = options.backend;
  DeviceModel model(image.size());
  image.load_into(model);
  Cable cable(options, image);
  auto load = std::make_unique<DiskLoad>(cable.guest(), log, payload, model, report);
  if (cable.connect(*load)) {
    load->run(cable.queue(), options);
  } else {
    report.findings.add("the vbd did not connect");
    if (const std::string said = cable.complaint(); !said.empty()) report.findings.add(said);
  }
  cable.close_disk(report.findings);
  load.reset();
  if (report.findings.empty() && report.done + report.dropped_count() != report.requests) {
    report.findings.add("not every request is accounted for");
  }
  compare_image(image, model, report);
  cable.shut_down(report.findings);
  report.digest = cable.digest();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace ringside::conformance
