#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backends/blkback/aligned_buffer.hpp"
#include "backends/blkback/blkback.hpp"
#include "backends/blkback/guest_ring.hpp"
#include "backends/blkback/persistent_maps.hpp"
#include "backends/xenbus/handles.hpp"

namespace ringside::backends {

/// What is to be known of a guest's disk to serve it.
struct Service {
  const BlkbackProfile& profile;
  uint16_t domain;
  Disk& disk;
  bool read_only;
  bool persistent;  ///< the front end uses its grants again
  BlkbackStatistics& statistics;
};

/// Carries out one guest's requests on one disk. Nothing a request says is trusted: it is
/// found to be right as a whole before any of it is done. [BLKIF-IO-030]
class Executor {
 public:
  Executor(Handles& handles, const Service& service);

  /// Carries out `requests`, of which those between two flushes or barriers are on the disk at
  /// the same time, in no order. `answers`: BLKIF_RSP_*, one for each. [BLKIF-IO-013]
  void execute(std::span<const GuestRequest> requests, std::span<int16_t> answers);

 private:
  enum class Direction : uint8_t { kToGuest, kFromGuest };

  /// A read or write under way.
  struct Job {
    int16_t* answer = nullptr;
    std::vector<blkif_request_segment> segments;
    AlignedBuffer buffer;
    std::span<std::byte> data;  ///< all its bytes, one after the other
  };

  void begin(const GuestRequest& request, int16_t& answer);
  void finish();
  int16_t carry_out(const GuestRequest& request);
  int16_t barrier(const GuestRequest& request);
  int16_t flush();
  int16_t discard(const GuestRequest& request);
  bool prepare(const GuestRequest& request, Job& job, DiskTransfer& transfer);
  bool collect_segments(const GuestRequest& request, Job& job);
  /// Bytes from the disk's beginning; nothing when it is not in there.
  std::optional<uint64_t> locate(uint64_t sector, uint64_t bytes) const;
  bool move_data(Job& job, Direction direction);
  bool map_data(Job& job, Direction direction);
  bool copy_data(Job& job, Direction direction);
  bool use_kept(Job& job, Direction direction);
  bool copy_from_guest(grant_ref_t ref, std::span<std::byte> into);

  Handles& handles_;
  const BlkbackProfile& profile_;
  uint16_t domain_;
  Disk& disk_;
  bool read_only_;
  BlkbackStatistics& statistics_;
  std::unique_ptr<PersistentMaps> kept_;  // nullptr: each request maps anew
  std::vector<Job> jobs_;                 // the first transfers_.size() are under way
  std::vector<DiskTransfer> transfers_;
  size_t under_way_ = 0;  // bytes
};

}  // namespace ringside::backends
