#pragma once

#include <cstddef>
#include <cstdint>

#include "protocols/platform/owned.hpp"
#include "protocols/platform/status.hpp"
#include "protocols/xenbus/interfaces/identity.hpp"
#include "protocols/xenbus/interfaces/tracked.hpp"

namespace ringside::xenbus {

struct CacheConfig {
  /// What an object is, to the cache. Both run with the cache's lock held.
  struct Hooks {
    Status (*construct)(void* context, void* object) = nullptr;  ///< may be null, may fail
    void (*destruct)(void* context, void* object) = nullptr;     ///< may be null
    void* context = nullptr;
  };

  const char* name = "";
  size_t object_bytes = 0;
  uint32_t reserve = 0;  ///< objects that are there from the start, and always
  uint32_t cap = 0;      ///< objects that ever exist at once
  Hooks hooks{};
};

/// Objects of one size that stay constructed between their uses. get() and put() must not overlap
/// on one CPU: both at dispatch level, or both where nothing interrupts.
class Cache : public Tracked {
 public:
  /// Aligned to 16 bytes. kNoResources at the cap.
  virtual Result<void*> get() = 0;
  virtual void put(void* object) = 0;
  /// Gives memory back as far as the reserve allows. Dispatch level.
  virtual void spill() = 0;
  /// Objects that were not put back are reported by the cache's name, and their memory stays.
  virtual void destroy() = 0;

 protected:
  ~Cache() = default;
};

/// XENBUS CACHE.
class Caches {
 public:
  static constexpr InterfaceIdentity kIdentity{"CACHE",
                                               guid("A98DFD78-416A-4949-92A5-E084F2F4B44E")};

  /// kInvalidArgument when the reserve exceeds the cap; kNoMemory, or what construct() said.
  virtual Result<Owned<Cache>> create(const CacheConfig& config) = 0;

 protected:
  ~Caches() = default;
};

}  // namespace ringside::xenbus
