#include "conformance/live/live_disk.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <utility>

#include "backends/blkback/uring_disk.hpp"
#include "conformance/report/outcome.hpp"
#include "conformance/rig/profiles.hpp"

namespace ringside::conformance {
namespace {

constexpr uint64_t kGuestKib = 32 << 10;
constexpr uint64_t kKibPerQueue = 16 << 10;

bool is_block_device(const std::string& path) {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 && S_ISBLK(found.st_mode);
}

}  // namespace

LiveDisk::LiveDisk(const LiveDiskConfig& config) : config_(config) {
  start_host(open_disk());
  connect();
}

LiveDisk::~LiveDisk() = default;

std::shared_ptr<backends::Disk> LiveDisk::open_disk() {
  const uint64_t sectors = config_.size / xenvbd::kSectorBytes;
  switch (config_.kind) {
    case LiveDiskConfig::Kind::kImage: return open_image();
    case LiveDiskConfig::Kind::kNull:
      access_ = "nothing behind it";
      return std::make_shared<backends::NullDisk>(sectors);
    case LiveDiskConfig::Kind::kMemory: break;
  }
  access_ = "memory";
  return std::make_shared<backends::MemoryDisk>(sectors, config_.read_only);
}

std::shared_ptr<backends::Disk> LiveDisk::open_image() {
  if (!is_block_device(config_.image)) {
    lock_.emplace(
        Image::open(config_.image, config_.size == 0 ? std::nullopt : std::optional(config_.size)));
  } else if (config_.size != 0) {
    throw Problem(
        fmt::format("{} is a block device and has its size; leave --size out", config_.image));
  }
  const auto mode = config_.read_only ? backends::FileDisk::Mode::kReadOnly
                                      : backends::FileDisk::Mode::kReadWrite;
  std::string error;
  if (auto disk = backends::UringDisk::open(config_.image, mode, error)) {
    const std::string& why = disk->cached_because();
    access_ = why.empty() ? "io_uring, O_DIRECT" : "io_uring through the page cache, as " + why;
    return disk;
  }
  access_ = "one read or write at a time through the page cache, as " + error;
  if (auto disk = backends::FileDisk::open(config_.image, mode, error)) return disk;
  throw Problem("no disk: " + error);
}

void LiveDisk::start_host(std::shared_ptr<backends::Disk> disk) {
  HostConfig host;
  host.threaded = true;
  host.machine.direct_maps = true;
  host_ = std::make_unique<Host>(host);
  backends::Blkback::Config blkback;
  blkback.profile = blk_profile(config_.backend);
  blkback.open_disk = [disk = std::move(disk)](const backends::VbdIdentity&, std::string&) {
    return disk;
  };
  blkback_ = start_blkback(*host_, std::move(blkback));
  const sim::GuestConfig guest{.vcpus = config_.queues,
                               .memory_kib = kGuestKib + config_.queues * kKibPerQueue};
  guest_ = std::make_unique<DriverGuest>(
      *host_, guest, nullptr,
      std::map<std::string, uint32_t>{{"FrontendMaxQueues", config_.queues}});
}

void LiveDisk::connect() {
  sim::VbdConfig config;
  if (config_.read_only) config.mode = "r";
  vbd_ = std::make_unique<VbdDevice>(*guest_, static_cast<xenvbd::Client&>(*this), config);
  if (!vbd_->connect()) throw RigError("the vbd of the live disk did not connect");
  host_->require("the disk", [this] { return up_.load(); });
  xenvbd::Vbd& vbd = vbd_->vbd();
  guest_->run([&] {
    const xenvbd::Disk& disk = vbd.disk();
    terms_ = {.size = disk.sectors * xenvbd::kSectorBytes,
              .sector_size = disk.sector_size,
              .read_only = disk.read_only,
              .flush = disk.flush_mode() != xenvbd::FlushMode::kNone,
              .trim = disk.discard.supported};
  });
  for (unsigned i = 0; i < vbd.queue_count(); ++i) {
    lanes_.push_back(std::make_unique<DiskLane>(*guest_, i, vbd.queue(i)));
  }
  started_ = host_->world().now();
}

void LiveDisk::submit(std::unique_ptr<NbdCommand> command) {
  lanes_[next_lane_++ % lanes_.size()]->submit(std::move(command));
}

void LiveDisk::completed(xenvbd::Queue& queue, xenvbd::Request& request, Status status) {
  lanes_[queue.index()]->completed(request, status);
}

void LiveDisk::disk_changed(const xenvbd::Disk&) { up_ = true; }

LiveDiskReport LiveDisk::close() {
  LiveDiskReport report;
  report.seconds = static_cast<double>(host_->world().now() - started_) / platform::kSecond;
  report.access = access_;
  report.back = (*blkback_)->statistics(guest_->domid(), sim::VbdConfig{}.vdev);
  guest_->run([&] {
    for (unsigned i = 0; i < lanes_.size(); ++i) {
      report.commands += lanes_[i]->counters();
      report.front.push_back(vbd_->vbd().queue(i).statistics());
    }
  });
  if (!vbd_->close()) report.findings.push_back("the vbd did not close");
  lanes_.clear();
  vbd_.reset();
  for (const std::string& leak : guest_->shut_down()) report.findings.push_back(leak);
  guest_.reset();
  blkback_.reset();
  for (const std::string& leak : host_->audit()) report.findings.push_back(leak);
  return report;
}

}  // namespace ringside::conformance
