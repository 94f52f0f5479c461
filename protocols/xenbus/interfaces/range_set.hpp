#pragma once

#include <cstdint>

#include "protocols/platform/owned.hpp"
#include "protocols/platform/status.hpp"
#include "protocols/xenbus/interfaces/identity.hpp"
#include "protocols/xenbus/interfaces/tracked.hpp"

namespace ringside::xenbus {

/// A set of 64-bit numbers kept as ranges, such as frame numbers without memory. Any level, any
/// CPU; an operation that fails changes nothing.
class Ranges : public Tracked {
 public:
  /// Adds [first, first + count). kInvalidArgument when it is empty, goes beyond 2^64, or
  /// overlaps what is there; kNoMemory.
  virtual Status put(uint64_t first, uint64_t count) = 0;
  /// Takes `count` consecutive numbers out, the lowest there are. kNoResources when there are
  /// not as many in a row.
  virtual Result<uint64_t> pop(uint64_t count) = 0;
  /// Takes [first, first + count) out. kNotFound unless all of it is there; kNoMemory, as it may
  /// leave one range more.
  virtual Status get(uint64_t first, uint64_t count) = 0;
  virtual void destroy() = 0;

 protected:
  ~Ranges() = default;
};

/// XENBUS RANGE_SET.
class RangeSets {
 public:
  static constexpr InterfaceIdentity kIdentity{"RANGE_SET",
                                               guid("EE7E78A2-6847-48C5-B123-BB012F0EABF4")};

  /// `name` is for reports. kNoMemory.
  virtual Result<Owned<Ranges>> create(const char* name) = 0;

 protected:
  ~RangeSets() = default;
};

}  // namespace ringside::xenbus
