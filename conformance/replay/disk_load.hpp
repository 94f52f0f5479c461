#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "conformance/replay/blk_replay.hpp"
#include "conformance/rig/device_model.hpp"
#include "conformance/rig/driver_guest.hpp"
#include "protocols/xenvbd/client.hpp"
#include "protocols/xenvbd/queue.hpp"

namespace ringside::conformance {

/// The file system of the guest: issues a log's requests, checks what is read.
class DiskLoad final : public xenvbd::Client {
 public:
  DiskLoad(DriverGuest& guest, const IoLog& log, const Payload& payload, DeviceModel& model,
           BlkReplayReport& report);
  ~DiskLoad();
  DiskLoad(const DiskLoad&) = delete;
  DiskLoad& operator=(const DiskLoad&) = delete;

  /// Issues everything and waits until it is done. From outside the actors.
  void run(xenvbd::Queue& queue, const ReplayOptions& options);

  void completed(xenvbd::Queue& queue, xenvbd::Request& request, Status status) override;
  void disk_changed(const xenvbd::Disk&) override {}
  void disk_lost() override;

 private:
  static constexpr size_t kDepth = 32;
  /// Longer requests go in several; each needs that much guest memory.
  static constexpr uint64_t kMostBytes = uint64_t{1} << 20;

  /// One request that can be under way, with its memory.
  struct Slot {
    xenvbd::Request request;
    std::vector<platform::Page> pages;
    std::vector<xenvbd::Segment> segments;
    size_t index = 0;   ///< of the log's request
    uint64_t from = 0;  ///< first byte of this part of it
    uint64_t length = 0;
    bool busy = false;
  };

  void run_in_guest(xenvbd::Queue& queue, const ReplayOptions& options);
  bool issue(xenvbd::Queue& queue, size_t index);
  bool issue_part(xenvbd::Queue& queue, size_t index, uint64_t from, uint64_t length);
  void lay_out(Slot& slot);
  void put_data(const Slot& slot, std::span<const std::byte> data);
  std::vector<std::byte> take_data(const Slot& slot) const;
  void check_read(const Slot& slot);
  void part_ended(const Slot& slot, Status status);
  void release(Slot& slot);
  bool conflicts(const BlockRequest& request) const;
  Slot* free_slot();
  /// Runs the vCPU's upcalls until something completes; false when nothing does.
  bool wait(xenvbd::Queue& queue);

  DriverGuest& guest_;
  const IoLog& log_;
  const Payload& payload_;
  DeviceModel& model_;
  BlkReplayReport& report_;
  sim::Random random_;
  std::array<Slot, kDepth> slots_;
  std::vector<uint32_t> parts_left_;   ///< by request
  std::vector<std::string> failures_;  ///< by request; empty: none
  size_t under_way_ = 0;
  bool running_ = false;
  Owned<platform::Event> progress_;
};

}  // namespace ringside::conformance
