#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

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

  /// BLKIF_RSP_*
  int16_t execute(const GuestRequest& request);

 private:
  enum class Direction : uint8_t { kToGuest, kFromGuest };

  int16_t carry_out(const GuestRequest& request);
  int16_t transfer(const GuestRequest& request);
  int16_t flush();
  int16_t discard(const GuestRequest& request);
  bool collect_segments(const GuestRequest& request);
  bool in_range(uint64_t sector, uint64_t sectors) const;
  bool move_data(Direction direction);
  bool map_data(Direction direction);
  bool copy_data(Direction direction);
  bool use_kept(Direction direction);
  bool copy_from_guest(grant_ref_t ref, std::span<std::byte> into);

  Handles& handles_;
  const BlkbackProfile& profile_;
  uint16_t domain_;
  Disk& disk_;
  bool read_only_;
  BlkbackStatistics& statistics_;
  std::unique_ptr<PersistentMaps> kept_;         // nullptr: each request maps anew
  std::vector<blkif_request_segment> segments_;  // of the request at hand
  std::vector<std::byte> data_;                  // all its bytes, one after the other
};

}  // namespace ringside::backends
