#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/interfaces/cache.hpp"

namespace ringside::xenbus {

/// Each CPU has a magazine of its own, from which and to which objects go without a lock; only
/// when it is empty or full do half of its rounds move under the lock.
class ObjectCache final : public Cache {
 public:
  static constexpr uint32_t kRounds = 16;

  static Result<Owned<Cache>> create(platform::Platform& platform, const CacheConfig& config);

  ObjectCache(platform::Platform& platform, const CacheConfig& config)
      : platform_(platform), config_(config) {}
  ~ObjectCache();

  Status start();
  /// At the cap, up to kRounds objects may still rest in the magazine of each other CPU.
  Result<void*> get() override;
  void put(void* object) override;
  void spill() override;
  /// Of one that create() made.
  void destroy() override { const platform::Box<ObjectCache> last = std::move(self_); }

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
  CacheConfig config_;
  platform::Array<Magazine> magazines_;  ///< by CPU
  Owned<platform::Lock> lock_;           ///< guards all below
  Slab* available_ = nullptr;
  uint32_t objects_ = 0;
  platform::Box<ObjectCache> self_;
};

}  // namespace ringside::xenbus
