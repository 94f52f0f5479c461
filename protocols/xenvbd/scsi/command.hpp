#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "protocols/xenvbd/disk.hpp"
#include "protocols/xenvbd/request.hpp"
#include "protocols/xenvbd/scsi/sense.hpp"

namespace ringside::xenvbd {

/// Where a unit's reads, writes, flushes and discards go: a queue of a vbd, as a rule.
class Medium {
 public:
  virtual const Disk& disk() const = 0;
  /// As Queue::submit(); what it takes ends in ScsiUnit::completed().
  virtual Status submit(Request& request) = 0;

 protected:
  ~Medium() = default;
};

enum class ScsiStatus : uint8_t { kGood = 0x00, kCheckCondition = 0x02 };

/// How a command ended.
struct ScsiAnswer {
  ScsiStatus status = ScsiStatus::kGood;
  Sense sense;               ///< with kCheckCondition
  uint64_t transferred = 0;  ///< bytes into or out of the command's data
};

/// What one SRB asks. Lent to the unit, data and all, from execute() until Owner::done(); the
/// unit keeps its own notes in it and allocates nothing.
class ScsiCommand {
 public:
  std::span<const std::byte> cdb;
  uint8_t lun = 0;
  /// The data buffer, with any alignment; fragments may be shortened. Its direction is the
  /// command's.
  std::span<Segment> data;
  uint64_t cookie = 0;  ///< the owner's own

  ScsiAnswer answer;  ///< once it is done

 private:
  friend class ScsiUnit;

  /// The operations that it takes, one after the other.
  struct Plan {
    std::array<Operation, 2> steps{};
    uint8_t count = 0;
    uint8_t next = 0;

    void add(Operation operation) { steps[count++] = operation; }
  };
  /// A part of the disk, in sectors of 512 bytes: that stays what it is whatever the disk's
  /// own become while the command is under way.
  struct Extent {
    uint64_t sector = 0;
    uint64_t sectors = 0;
  };

  Request request_;
  Medium* medium_ = nullptr;
  Plan plan_;
  Extent extent_;
  uint16_t next_descriptor_ = 0;  ///< UNMAP: the first that is not done
  uint16_t descriptors_ = 0;
};

}  // namespace ringside::xenvbd
