#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conformance/live/disk_lane.hpp"
#include "conformance/replay/image.hpp"
#include "conformance/rig/vbd_device.hpp"

namespace ringside::conformance {

struct LiveDiskConfig {
  enum class Kind : uint8_t { kMemory, kNull, kImage };

  std::string backend = "reference";
  Kind kind = Kind::kMemory;
  std::string image;  ///< a raw image or block device
  uint64_t size = 0;  ///< bytes; 0: that of the image
  bool read_only = false;
  unsigned queues = 1;  ///< of the front end; the back end may offer fewer
};

/// What went through a live disk.
struct LiveDiskReport {
  DiskLane::Counters commands;
  std::vector<xenvbd::Statistics> front;  ///< by queue
  backends::BlkbackStatistics back;
  std::string access;  ///< how the back end gets at its bytes
  double seconds = 0;
  std::vector<std::string> findings;  ///< left behind in the host
};

/// A disk behind all of blkif, in real time: what is submitted goes through a guest's vbd, rings
/// and blkback to memory, an image or nowhere.
class LiveDisk final : public NbdExport, private xenvbd::Client {
 public:
  static constexpr unsigned kMostQueues = 4;

  /// The disk is connected when it returns. Throws Problem.
  explicit LiveDisk(const LiveDiskConfig& config);
  ~LiveDisk();
  LiveDisk(const LiveDisk&) = delete;
  LiveDisk& operator=(const LiveDisk&) = delete;

  Terms terms() const override { return terms_; }
  void submit(std::unique_ptr<NbdCommand> command) override;

  unsigned queues() const { return static_cast<unsigned>(lanes_.size()); }
  const std::string& access() const { return access_; }
  Host& host() { return *host_; }

  /// Takes it all down, when nothing is under way. Once.
  LiveDiskReport close();

 private:
  void completed(xenvbd::Queue& queue, xenvbd::Request& request, Status status) override;
  void disk_changed(const xenvbd::Disk& disk) override;
  void disk_lost() override {}

  std::shared_ptr<backends::Disk> open_disk();
  std::shared_ptr<backends::Disk> open_image();
  void start_host(std::shared_ptr<backends::Disk> disk);
  void connect();

  LiveDiskConfig config_;
  std::optional<Image> lock_;  ///< a regular image is ours alone
  std::string access_;
  std::unique_ptr<Host> host_;
  std::unique_ptr<BlkbackActor> blkback_;
  std::unique_ptr<DriverGuest> guest_;
  std::unique_ptr<VbdDevice> vbd_;
  std::vector<std::unique_ptr<DiskLane>> lanes_;
  std::atomic<bool> up_ = false;
  std::atomic<unsigned> next_lane_ = 0;
  Terms terms_;
  sim::Nanoseconds started_ = 0;
};

}  // namespace ringside::conformance
