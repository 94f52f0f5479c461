#include "protocols/xenbus/grant_table.hpp"

#include <algorithm>

namespace ringside::xenbus {

namespace {

constexpr unsigned kRevokeTries = 100;
constexpr unsigned kBusyTries = 8;
constexpr uint32_t kRetriesPerCall = 4;

}  // namespace

/// The stock of one client; only the table behind it is shared, and locked.
class GrantTable::Cache final : public GrantCache {
 public:
  Cache(GrantTable& table, const char* name, uint32_t limit)
      : table_(table), name_(name), limit_(limit) {}

  Status start(platform::Box<Cache> self, uint32_t reserve);
  Result<GrantRef> permit(DomainId peer, platform::Frame frame, Access access) override;
  Status revoke(GrantRef ref) override;
  void park(GrantRef ref, platform::Page page) override;
  void destroy() override;

 private:
  static constexpr uint32_t kBatch = 32;

  bool restock();

  GrantTable& table_;
  const char* name_;
  uint32_t limit_;
  uint32_t held_ = 0;   // of the table's references: stocked and live ones
  uint32_t stock_ = 0;  // of them, free to be used
  platform::Array<GrantRef> free_;
  platform::Box<Cache> self_;
};

Status GrantTable::Cache::start(platform::Box<Cache> self, uint32_t reserve) {
  auto free = platform::Array<GrantRef>::create(table_.platform_, limit_);
  if (!free) return free.status();
  free_ = *std::move(free);
  while (stock_ < reserve) {
    const uint32_t taken = table_.take(&free_[stock_], reserve - stock_);
    stock_ += taken;
    if (taken == 0) {
      table_.give_back(free_.begin(), stock_);
      return Status::kNoResources;
    }
  }
  held_ = stock_;
  self_ = std::move(self);
  return Status::kOk;
}

bool GrantTable::Cache::restock() {
  const uint32_t wanted = std::min(kBatch, limit_ - held_);
  if (wanted == 0) return false;
  stock_ = table_.take(free_.begin(), wanted);
  held_ += stock_;
  return stock_ != 0;
}

Result<GrantRef> GrantTable::Cache::permit(DomainId peer, platform::Frame frame, Access access) {
  table_.retry_parked(kRetriesPerCall);
  for (;;) {
    if (stock_ == 0 && !restock()) return Status::kNoResources;
    const GrantRef ref = free_[stock_ - 1];
    const Status status = table_.entries_.permit(ref, peer, frame, access);
    if (status == Status::kNoResources) {
      // GRANT-009: nobody asks for this reference again.
      --stock_;
      --held_;
      continue;
    }
    if (!ok(status)) return status;
    --stock_;
    return GrantRef{ref};
  }
}

Status GrantTable::Cache::revoke(GrantRef ref) {
  table_.retry_parked(kRetriesPerCall);
  const Status status = table_.revoke(ref, kRevokeTries);
  if (ok(status)) free_[stock_++] = ref;
  return status;
}

void GrantTable::Cache::park(GrantRef ref, platform::Page page) {
  table_.park(ref, page);
  --held_;
}

void GrantTable::Cache::destroy() {
  table_.retry_parked(table_.parked());
  table_.give_back(free_.begin(), stock_);
  if (held_ != stock_) {
    table_.platform_.log(platform::LogLevel::kError, "grants still outstanding in the cache:");
    table_.platform_.log(platform::LogLevel::kError, name_);
  }
  const platform::Box<Cache> self = std::move(self_);
}

Status GrantTable::start() {
  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  const Status started = entries_.start(platform_.setting("GrantTableVersion", 0));
  if (!ok(started)) return started;
  auto free = platform::Array<GrantRef>::create(platform_, entries_.capacity());
  if (!free) return free.status();
  auto parked = platform::Array<Parked>::create(platform_, entries_.capacity());
  if (!parked) return parked.status();
  free_ = *std::move(free);
  parked_ = *std::move(parked);
  return grow();
}

GrantTable::~GrantTable() {
  if (parked() == 0) return;
  retry_parked(parked());
  if (parked() != 0) {
    // GRANT-002: a page that a peer still maps is lost rather than reused.
    platform_.log(platform::LogLevel::kError,
                  "parked grants are still mapped; their pages are lost");
  }
}

Result<Owned<GrantCache>> GrantTable::create_cache(const char* name, uint32_t reserve,
                                                   uint32_t limit) {
  limit = std::min(limit, entries_.capacity());
  if (reserve > limit) return Status::kInvalidArgument;
  auto box = platform::Box<Cache>::create(platform_, *this, name, limit);
  if (!box) return box.status();
  Cache* cache = box->get();
  const Status status = cache->start(*std::move(box), reserve);
  if (!ok(status)) return status;
  return Owned<GrantCache>(cache);
}

Status GrantTable::revoke(GrantRef ref, unsigned tries) {
  if (ref < kFirstUsable) return Status::kInvalidArgument;
  unsigned busy = 0;
  for (unsigned i = 0; i < tries; ++i) {
    const Status status = entries_.end(ref);
    if (status == Status::kAgain) continue;
    if (status != Status::kBusy) return status;
    if (++busy == kBusyTries) break;
    if (i + 1 < tries) platform_.yield();
  }
  return Status::kBusy;
}

uint32_t GrantTable::take(GrantRef* out, uint32_t wanted) {
  const platform::LockGuard guard(*lock_);
  if (free_count_ == 0 && !ok(grow())) return 0;
  const uint32_t taken = std::min(wanted, free_count_);
  for (uint32_t i = 0; i < taken; ++i) out[i] = free_[--free_count_];
  return taken;
}

void GrantTable::give_back(const GrantRef* refs, uint32_t count) {
  if (count == 0) return;
  const platform::LockGuard guard(*lock_);
  for (uint32_t i = count; i > 0; --i) free_[free_count_++] = refs[i - 1];
}

void GrantTable::park(GrantRef ref, platform::Page page) {
  retry_parked(kRetriesPerCall);
  const platform::LockGuard guard(*lock_);
  const uint32_t count = parked();
  parked_[count] = {.ref = ref, .page = page};
  parked_count_.store(count + 1, std::memory_order_relaxed);
}

void GrantTable::retry_parked(uint32_t limit) {
  if (parked() == 0) return;
  const platform::LockGuard guard(*lock_);
  const uint32_t before = parked();
  uint32_t kept = 0;
  uint32_t failed = 0;
  for (uint32_t i = 0; i < before; ++i) {
    const Parked candidate = parked_[i];
    const bool tried = i < limit;
    if (!tried || !ok(revoke(candidate.ref, 1))) {
      parked_[kept++] = candidate;
      if (tried) ++failed;
      continue;
    }
    platform_.release_page(candidate.page);
    free_[free_count_++] = candidate.ref;
  }
  // What was tried in vain goes to the end, so that the next call looks at others.
  std::rotate(parked_.begin(), parked_.begin() + failed, parked_.begin() + kept);
  parked_count_.store(kept, std::memory_order_relaxed);
}

Status GrantTable::grow() {
  const GrantRef first = entries_.entries();
  const Status grown = entries_.grow();
  if (!ok(grown)) return grown;
  // GRANT-001: the reserved references never reach the free list. Low ones are used first.
  for (GrantRef ref = entries_.entries(); ref > std::max(first, kFirstUsable); --ref) {
    const GrantRef fresh = ref - 1;
    // One that an earlier driver left granted stays out of use: its page may be mapped.
    if (entries_.untouched(fresh)) free_[free_count_++] = fresh;
  }
  return Status::kOk;
}

}  // namespace ringside::xenbus
