#pragma once

#include <cstddef>
#include <cstdint>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"

namespace ringside::xenbus {

/// XENBUS CACHE: objects of one size that stay constructed between their uses.
///
/// Each CPU has a magazine of its own, from which and to which objects go without a lock; only
/// when it is empty or full do half of its rounds move under the lock. Therefore get() and put()
/// must not overlap on one CPU: both at dispatch level, or both where nothing interrupts.
class ObjectCache {
 public:
  /// What an object is, to the cache. Both run with the cache's lock held.
  struct Hooks {
    Status (*construct)(void* context, void* object) = nullptr;  ///< may be null, may fail
    void (*destruct)(void* context, void* object) = nullptr;     ///< may be null
    void* context = nullptr;
  };
  struct Config {
    const char* name = "";
    size_t object_bytes = 0;
    uint32_t reserve = 0;  ///< objects that are there from the start, and always
    uint32_t cap = 0;      ///< objects that ever exist at once
    Hooks hooks;
  };

  static constexpr uint32_t kRounds = 16;

  ObjectCache(platform::Platform& platform, const Config& config)
      : platform_(platform), config_(config) {}
  ObjectCache(const ObjectCache&) = delete;
  ObjectCache& operator=(const ObjectCache&) = delete;
  /// Objects that were not put back are reported by the cache's name, and their memory stays.
  ~ObjectCache();

  /// kInvalidArgument when the reserve exceeds the cap; kNoMemory, or what construct() said.
  Status start();
  /// Aligned to 16 bytes. kNoResources at the cap; up to kRounds objects may then rest in the
  /// magazine of each other CPU.
  Result<void*> get();
  void put(void* object);
  /// Gives memory back as far as the reserve allows: for a timer, at dispatch level.
  void spill();

  /// Objects in existence.
  uint32_t objects() const;

 private:
  struct Slab;
  /// Before each object; the link is in use while the object is not.
  struct alignas(16) Cell {
    Slab* slab = nullptr;
    Cell* next = nullptr;
    void* object() { return this + 1; }
    static Cell* of(void* object) { return static_cast<Cell*>(object) - 1; }
  };
  /// Several cells in one piece of memory.
  struct alignas(64) Slab {
    Slab* previous = nullptr;  // among those with a free cell
    Slab* next = nullptr;
    Cell* free = nullptr;
    uint32_t cells = 0;
    uint32_t free_count = 0;
  };
  struct alignas(64) Magazine {
    uint32_t count = 0;
    Cell* rounds[kRounds] = {};
  };

  size_t cell_bytes() const;
  Cell* cell_at(Slab& slab, uint32_t index) const;
  Status add_slab();
  void remove_slab(Slab& slab);
  void destruct_cells(Slab& slab, uint32_t count);
  Cell* take();
  void give_back(Cell* cell);
  void link(Slab& slab);
  void unlink(Slab& slab);
  Status refill(Magazine& magazine);
  void empty(Magazine& magazine, uint32_t leave);
  void free_slabs(uint32_t keep);

  platform::Platform& platform_;
  Config config_;
  platform::Array<Magazine> magazines_;  ///< by CPU
  Owned<platform::Lock> lock_;           ///< guards all below
  Slab* available_ = nullptr;
  uint32_t objects_ = 0;
};

}  // namespace ringside::xenbus
