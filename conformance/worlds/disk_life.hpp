#pragma once

#include <array>
#include <memory>
#include <vector>

#include "backends/blkback/disk.hpp"
#include "conformance/rig/device_model.hpp"
#include "conformance/worlds/device_life.hpp"
#include "conformance/worlds/scenario.hpp"
#include "protocols/xenvbd/vbd.hpp"

namespace ringside::conformance {

/// A disk and its file system: requests of many shapes at random places.
///
/// Each request must be completed once and rightly, through lost connections too; each read
/// and the whole disk at the end must hold what was written last.
class DiskLife final : public DeviceLife<xenvbd::Vbd>, private xenvbd::Client {
 public:
  DiskLife(DriverGuest& guest, const sim::VbdConfig& config,
           std::shared_ptr<backends::MemoryDisk> disk, Peers peers, const Scenario& scenario);
  ~DiskLife();

  /// The whole life, as a job in the guest.
  void run();
  uint64_t completed() const { return completed_; }
  /// Now the disk forgets what it was not told to flush.
  void power_cut();
  /// When it is done: what the disk holds against what it should.
  void check_disk();

 private:
  static constexpr size_t kDepth = 8;
  struct Slot {
    xenvbd::Request request;
    std::vector<platform::Page> pages;
    std::vector<xenvbd::Segment> segments;
    bool busy = false;
    bool doubtful = false;  ///< a write that was perhaps answered before the power went
    uint64_t written = 0;   ///< a flush: writes that were completed when it was submitted
  };
  /// A completed write that no flush has covered yet.
  struct Unflushed {
    uint64_t number;
    uint64_t offset;
    uint64_t length;
  };

  void completed(xenvbd::Queue& queue, xenvbd::Request& request, Status status) override;
  void disk_changed(const xenvbd::Disk&) override { progress(); }
  void disk_lost() override { progress(); }

  void issue_round(unsigned count);
  bool issue(Slot& slot);
  void kick();
  bool shape(Slot& slot);
  bool add(Slot& slot, uint32_t offset, uint32_t length);
  void fill(Slot& slot);
  void check_read(const Slot& slot);
  void note_written(Slot& slot);
  void note_flushed(const Slot& slot, const xenvbd::Queue& queue);
  void release(Slot& slot);
  bool overlaps(const xenvbd::Request& request) const;
  Slot* free_slot();
  size_t busy() const;
  uint64_t bytes_of(const xenvbd::Request& request) const;

  const Scenario& scenario_;
  std::shared_ptr<backends::MemoryDisk> disk_;
  DeviceModel model_;
  sim::Random random_;
  std::array<Slot, kDepth> slots_;
  uint64_t sequence_ = 0;
  uint64_t completed_ = 0;
  uint64_t written_ = 0;
  std::vector<Unflushed> unflushed_;
  bool leaving_ = false;
};

}  // namespace ringside::conformance
