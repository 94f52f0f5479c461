#include "protocols/xenbus/object_cache.hpp"

#include <algorithm>

namespace ringside::xenbus {
namespace {

constexpr size_t kSlabBytes = platform::kPageSize;
constexpr size_t kAlignment = 16;

}  // namespace

ObjectCache::~ObjectCache() {
  if (!lock_) return;
  for (Magazine& magazine : magazines_) empty(magazine, 0);
  {
    const platform::LockGuard guard(*lock_);
    free_slabs(0);
  }
  if (objects_ == 0) return;
  platform_.log(platform::LogLevel::kError, "objects still outstanding in the cache:");
  platform_.log(platform::LogLevel::kError, config_.name);
}

Result<Owned<Cache>> ObjectCache::create(platform::Platform& platform, const CacheConfig& config) {
  auto box = platform::Box<ObjectCache>::create(platform, platform, config);
  if (!box) return box.status();
  ObjectCache* cache = box->get();
  const Status status = cache->start();
  if (!ok(status)) return status;
  cache->self_ = *std::move(box);
  return Owned<Cache>(cache);
}

Status ObjectCache::start() {
  if (config_.reserve > config_.cap || config_.object_bytes == 0) return Status::kInvalidArgument;
  auto magazines = platform::Array<Magazine>::create(platform_, platform_.cpu_count());
  if (!magazines) return magazines.status();
  magazines_ = *std::move(magazines);
  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  const platform::LockGuard guard(*lock_);
  while (objects_ < config_.reserve) {
    if (const Status status = add_slab(); !ok(status)) return status;
  }
  return Status::kOk;
}

size_t ObjectCache::cell_bytes() const {
  return sizeof(Cell) + (config_.object_bytes + kAlignment - 1) / kAlignment * kAlignment;
}

ObjectCache::Cell* ObjectCache::cell_at(Slab& slab, uint32_t index) const {
  auto* bytes = reinterpret_cast<std::byte*>(&slab + 1) + index * cell_bytes();
  return reinterpret_cast<Cell*>(bytes);
}

Status ObjectCache::add_slab() {
  if (objects_ >= config_.cap) return Status::kNoResources;
  const size_t fit = std::max<size_t>(1, (kSlabBytes - sizeof(Slab)) / cell_bytes());
  const auto cells = static_cast<uint32_t>(std::min<size_t>(fit, config_.cap - objects_));
  void* memory = platform_.allocate(sizeof(Slab) + cells * cell_bytes());
  if (memory == nullptr) return Status::kNoMemory;
  Slab& slab = *new (memory) Slab;
  slab.cells = cells;
  for (uint32_t i = 0; i < cells; ++i) {
    Cell* cell = new (cell_at(slab, i)) Cell{.slab = &slab, .next = slab.free};
    const CacheConfig::Hooks& hooks = config_.hooks;
    const Status status =
        hooks.construct == nullptr ? Status::kOk : hooks.construct(hooks.context, cell->object());
    if (!ok(status)) {
      destruct_cells(slab, i);
      platform_.release(memory);
      return status;
    }
    slab.free = cell;
  }
  slab.free_count = cells;
  objects_ += cells;
  link(slab);
  return Status::kOk;
}

void ObjectCache::destruct_cells(Slab& slab, uint32_t count) {
  const CacheConfig::Hooks& hooks = config_.hooks;
  if (hooks.destruct == nullptr) return;
  for (uint32_t i = count; i > 0; --i) {
    hooks.destruct(hooks.context, cell_at(slab, i - 1)->object());
  }
}

void ObjectCache::remove_slab(Slab& slab) {
  unlink(slab);
  objects_ -= slab.cells;
  destruct_cells(slab, slab.cells);
  platform_.release(&slab);
}

void ObjectCache::link(Slab& slab) {
  slab.previous = nullptr;
  slab.next = available_;
  if (available_ != nullptr) available_->previous = &slab;
  available_ = &slab;
}

void ObjectCache::unlink(Slab& slab) {
  (slab.previous == nullptr ? available_ : slab.previous->next) = slab.next;
  if (slab.next != nullptr) slab.next->previous = slab.previous;
}

ObjectCache::Cell* ObjectCache::take() {
  Slab* slab = available_;
  if (slab == nullptr) return nullptr;
  Cell* cell = slab->free;
  slab->free = cell->next;
  if (--slab->free_count == 0) unlink(*slab);
  return cell;
}

void ObjectCache::give_back(Cell* cell) {
  Slab& slab = *cell->slab;
  if (slab.free_count == 0) link(slab);
  cell->next = slab.free;
  slab.free = cell;
  ++slab.free_count;
}

Status ObjectCache::refill(Magazine& magazine) {
  const platform::LockGuard guard(*lock_);
  if (available_ == nullptr) {
    if (const Status status = add_slab(); !ok(status)) return status;
  }
  while (magazine.count < kRounds / 2) {
    Cell* cell = take();
    if (cell == nullptr) break;
    magazine.rounds[magazine.count++] = cell;
  }
  return Status::kOk;
}

void ObjectCache::empty(Magazine& magazine, uint32_t leave) {
  const platform::LockGuard guard(*lock_);
  while (magazine.count > leave) give_back(magazine.rounds[--magazine.count]);
}

Result<void*> ObjectCache::get() {
  Magazine& magazine = magazines_[platform_.cpu()];
  if (magazine.count == 0) {
    if (const Status status = refill(magazine); !ok(status)) return status;
  }
  return magazine.rounds[--magazine.count]->object();
}

void ObjectCache::put(void* object) {
  Magazine& magazine = magazines_[platform_.cpu()];
  if (magazine.count == kRounds) empty(magazine, kRounds / 2);
  magazine.rounds[magazine.count++] = Cell::of(object);
}

void ObjectCache::free_slabs(uint32_t keep) {
  for (Slab* slab = available_; slab != nullptr;) {
    Slab* const next = slab->next;
    const bool unused = slab->free_count == slab->cells;
    if (unused && objects_ - slab->cells >= keep) remove_slab(*slab);
    slab = next;
  }
}

void ObjectCache::spill() {
  empty(magazines_[platform_.cpu()], 0);
  const platform::LockGuard guard(*lock_);
  free_slabs(config_.reserve);
}

uint32_t ObjectCache::objects() const {
  const platform::LockGuard guard(*lock_);
  return objects_;
}

}  // namespace ringside::xenbus
