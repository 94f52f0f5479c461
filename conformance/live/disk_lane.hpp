#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "conformance/live/nbd_export.hpp"
#include "conformance/rig/driver_guest.hpp"
#include "protocols/xenvbd/queue.hpp"

namespace ringside::conformance {

/// Between NBD commands and one queue of a vbd: each command becomes requests of up to 128 KiB
/// in pages of the guest.
///
/// Runs on the queue's CPU, but for making, submit() and destroying.
class DiskLane {
 public:
  struct Counters {
    uint64_t reads = 0;
    uint64_t writes = 0;
    uint64_t flushes = 0;  ///< those of FUA too
    uint64_t trims = 0;
    uint64_t bytes_read = 0;
    uint64_t bytes_written = 0;
    uint64_t errors = 0;

    Counters& operator+=(const Counters& other);
  };

  /// From outside the actors. `queue` outlives it.
  DiskLane(DriverGuest& guest, unsigned cpu, xenvbd::Queue& queue);
  /// From outside the actors, when nothing is under way.
  ~DiskLane();
  DiskLane(const DiskLane&) = delete;
  DiskLane& operator=(const DiskLane&) = delete;

  /// Any thread but the guest's.
  void submit(std::unique_ptr<NbdCommand> command);
  void completed(xenvbd::Request& request, Status status);

  /// When nothing is under way.
  const Counters& counters() const { return counters_; }

 private:
  static constexpr unsigned kSlots = 64;
  static constexpr uint32_t kPagesEach = 32;

  /// A command and how far it is.
  struct Task {
    std::unique_ptr<NbdCommand> command;
    uint32_t issued = 0;  ///< bytes
    bool all_issued = false;
    bool flushing = false;        ///< its data is through, or it has none
    unsigned outstanding = 0;     ///< requests
    Status status = Status::kOk;  ///< the first error
  };
  struct Slot {
    std::vector<platform::Page> pages;
    std::vector<xenvbd::Segment> segments;
    xenvbd::Request request;
    std::shared_ptr<Task> task;
    uint32_t at = 0;  ///< where in the command
  };

  bool allocate();
  void pump();
  void take_inbox();
  bool issue(const std::shared_ptr<Task>& task);
  void shape(Slot& slot, Task& task);
  void settle(const std::shared_ptr<Task>& task);
  void count(const NbdCommand& command);

  DriverGuest& guest_;
  unsigned cpu_;
  xenvbd::Queue& queue_;
  Owned<platform::Work> work_;
  std::vector<Slot> slots_;
  std::vector<Slot*> free_;
  std::deque<std::shared_ptr<Task>> waiting_;  ///< not wholly issued
  std::mutex mutex_;                           // inbox_
  std::vector<std::unique_ptr<NbdCommand>> inbox_;
  Counters counters_;
};

}  // namespace ringside::conformance
