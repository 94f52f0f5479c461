#include "protocols/xenbus/grant_table.hpp"

#include <algorithm>
#include <array>

namespace ringside::xenbus {

namespace {

constexpr unsigned kRevokeTries = 100;
constexpr unsigned kBusyTries = 8;
constexpr uint32_t kRetriesPerCall = 4;
/// Xen looks at nothing else in an entry that permits nothing.
constexpr DomainId kLost = DOMID_INVALID;

std::atomic_ref<uint16_t> flags_of(grant_entry_v1_t& entry) {
  return std::atomic_ref<uint16_t>(entry.flags);
}

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
  if (stock_ == 0 && !restock()) return Status::kNoResources;
  const GrantRef ref = free_[stock_ - 1];
  const Status status = table_.permit(ref, peer, frame, access);
  if (!ok(status)) return status;
  --stock_;
  return GrantRef{ref};
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
  const auto size = xen_.grant_table_size();
  if (!size) return size.status();
  max_frames_ = std::min(size->max_frames, kMaxFrames);
  if (max_frames_ == 0) return Status::kNoResources;

  auto lock = platform_.create_lock();
  if (!lock) return lock.status();
  lock_ = *std::move(lock);
  auto frames = platform::Array<Frame>::create(platform_, max_frames_);
  if (!frames) return frames.status();
  auto free = platform::Array<GrantRef>::create(platform_, max_frames_ * kEntriesPerFrame);
  if (!free) return free.status();
  auto parked = platform::Array<GrantRef>::create(platform_, max_frames_ * kEntriesPerFrame);
  if (!parked) return parked.status();
  const auto first = platform_.reserve_frames(max_frames_);
  if (!first) return first.status();
  first_frame_ = *first;
  frames_ = *std::move(frames);
  free_ = *std::move(free);
  parked_ = *std::move(parked);
  return grow();
}

GrantTable::~GrantTable() {
  if (frames_.empty()) return;
  retry_parked(parked());
  if (parked() != 0) {
    // GRANT-002: a page that a peer still maps is lost rather than reused.
    platform_.log(platform::LogLevel::kError,
                  "parked grants are still mapped; their pages are lost");
  }
  for (uint32_t i = 0; i < frame_count_; ++i) {
    platform_.unmap_frame(frames_[i].address);
    (void)xen_.remove_from_physmap(first_frame_ + i);
  }
  platform_.release_frames(first_frame_, max_frames_);
}

Result<Owned<GrantCache>> GrantTable::create_cache(const char* name, uint32_t reserve,
                                                   uint32_t limit) {
  limit = std::min(limit, max_frames_ * kEntriesPerFrame);
  if (reserve > limit) return Status::kInvalidArgument;
  auto box = platform::Box<Cache>::create(platform_, *this, name, limit);
  if (!box) return box.status();
  Cache* cache = box->get();
  const Status status = cache->start(*std::move(box), reserve);
  if (!ok(status)) return status;
  return Owned<GrantCache>(cache);
}

grant_entry_v1_t* GrantTable::entry(GrantRef ref) const {
  const uint32_t frame = ref / kEntriesPerFrame;
  std::byte* address = frames_[frame].address;
  return &reinterpret_cast<grant_entry_v1_t*>(address)[ref % kEntriesPerFrame];
}

Status GrantTable::permit(GrantRef ref, DomainId peer, platform::Frame frame, Access access) {
  // GRANT-004: version 1 has 32 bits for the frame; a truncated one would grant another page.
  if (frame > 0xffffffffu) return Status::kNotSupported;
  grant_entry_v1_t& grant = *entry(ref);
  grant.domid = peer;
  grant.frame = static_cast<uint32_t>(frame);
  // GRANT-001: whoever sees the flags sees whom and what they permit.
  std::atomic_thread_fence(std::memory_order_release);
  const unsigned readonly = access == Access::kReadOnly ? GTF_readonly : 0u;
  flags_of(grant).store(static_cast<uint16_t>(GTF_permit_access | readonly),
                        std::memory_order_release);
  return Status::kOk;
}

Status GrantTable::revoke(GrantRef ref, unsigned tries) {
  if (ref < kFirstUsable || ref / kEntriesPerFrame >= frames_.size() ||
      frames_[ref / kEntriesPerFrame].address == nullptr) {
    return Status::kInvalidArgument;
  }
  grant_entry_v1_t& grant = *entry(ref);
  const auto flags = flags_of(grant);
  unsigned busy = 0;
  for (unsigned i = 0; i < tries; ++i) {
    uint16_t seen = flags.load(std::memory_order_relaxed);
    if (seen == GTF_invalid && grant.domid == kLost) {
      // CONTROL-005: granted by the domain before the last resume.
      grant.domid = 0;
      return Status::kOk;
    }
    if ((seen & GTF_type_mask) != GTF_permit_access) return Status::kInvalidArgument;
    if ((seen & (GTF_reading | GTF_writing)) != 0) {
      if (++busy == kBusyTries) return Status::kBusy;
      platform_.yield();
      continue;
    }
    // GRANT-002: Xen sets the two bits in the same 16-bit word, so that this exchange fails
    // when the peer maps the page between our look and our end of its access.
    if (flags.compare_exchange_strong(seen, 0, std::memory_order_seq_cst)) {
      grant.domid = 0;
      grant.frame = 0;
      return Status::kOk;
    }
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
  frames_[ref / kEntriesPerFrame].parked_pages[ref % kEntriesPerFrame] = page;
  const uint32_t count = parked();
  parked_[count] = ref;
  parked_count_.store(count + 1, std::memory_order_relaxed);
}

void GrantTable::retry_parked(uint32_t limit) {
  if (parked() == 0) return;
  const platform::LockGuard guard(*lock_);
  const uint32_t before = parked();
  uint32_t kept = 0;
  uint32_t failed = 0;
  for (uint32_t i = 0; i < before; ++i) {
    const GrantRef ref = parked_[i];
    const bool tried = i < limit;
    if (!tried || !ok(revoke(ref, 1))) {
      parked_[kept++] = ref;
      if (tried) ++failed;
      continue;
    }
    platform::Page& page = frames_[ref / kEntriesPerFrame].parked_pages[ref % kEntriesPerFrame];
    platform_.release_page(page);
    page = {};
    free_[free_count_++] = ref;
  }
  // What was tried in vain goes to the end, so that the next call looks at others.
  std::rotate(parked_.begin(), parked_.begin() + failed, parked_.begin() + kept);
  parked_count_.store(kept, std::memory_order_relaxed);
}

Result<std::byte*> GrantTable::place(uint32_t index) {
  const platform::Frame where = first_frame_ + index;
  const Status placed = xen_.add_to_physmap(XENMAPSPACE_grant_table, index, where);
  if (!ok(placed)) return placed;
  const auto address = platform_.map_frame(where);
  if (!address) (void)xen_.remove_from_physmap(where);
  return address;
}

Status GrantTable::resume() {
  for (uint32_t i = 0; i < frame_count_; ++i) {
    platform_.unmap_frame(frames_[i].address);
    frames_[i].address = nullptr;
    const auto address = place(i);
    if (!address) return address.status();
    frames_[i].address = *address;
    const GrantRef first = i * kEntriesPerFrame;
    for (GrantRef ref = std::max(first, kFirstUsable); ref < first + kEntriesPerFrame; ++ref) {
      entry(ref)->domid = kLost;
    }
  }
  return Status::kOk;
}

Status GrantTable::grow() {
  if (frame_count_ == max_frames_) return Status::kNoResources;
  auto pages = platform::Array<platform::Page>::create(platform_, kEntriesPerFrame);
  if (!pages) return pages.status();
  const auto address = place(frame_count_);
  if (!address) return address.status();
  frames_[frame_count_] = {.address = *address, .parked_pages = *std::move(pages)};

  // GRANT-001: the reserved references never reach the free list. Low ones are used first.
  const GrantRef first = frame_count_ * kEntriesPerFrame;
  ++frame_count_;
  for (GrantRef ref = first + kEntriesPerFrame; ref > std::max(first, kFirstUsable); --ref) {
    const GrantRef fresh = ref - 1;
    // One that an earlier driver left granted stays out of use: its page may be mapped.
    if (flags_of(*entry(fresh)).load(std::memory_order_relaxed) != GTF_invalid) continue;
    free_[free_count_++] = fresh;
  }
  return Status::kOk;
}

}  // namespace ringside::xenbus
