#pragma once

#include <atomic>
#include <cstdint>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/grant_entries.hpp"
#include "protocols/xenbus/hypercalls.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"

namespace ringside::xenbus {

/// This domain's grant table: which references are free, whose they are, and which of them
/// peers have not let go of yet.
///
/// Grows by one frame when its free list runs dry, up to what GNTTABOP_query_size allows. Of
/// version 1 unless this domain has frames that version 1 can't name; the setting
/// GrantTableVersion (1 or 2) decides otherwise. Source: grant_table.h. [GRANT-001..008]
class GrantTable final : public Grants {
 public:
  /// 0..7 are Xen's; 8..31 stay untouched as crash kernels and toolstacks expect. [GRANT-001]
  static constexpr GrantRef kFirstUsable = 32;

  GrantTable(platform::Platform& platform, Hypercalls& xen)
      : platform_(platform), entries_(platform, xen) {}
  GrantTable(const GrantTable&) = delete;
  GrantTable& operator=(const GrantTable&) = delete;
  ~GrantTable();

  Status start();
  Result<Owned<GrantCache>> create_cache(const char* name, uint32_t reserve,
                                         uint32_t limit) override;

  uint32_t version() const { return entries_.version(); }
  /// What `ref` lets its peer do; kNotFound when it is not a live grant of ours.
  Result<GrantedFrame> query(GrantRef ref) const { return entries_.query(ref); }
  /// After a restore, before anything else runs: the table is in place again, and empty. Clients
  /// revoke what they had granted, which nobody maps any more, and grant anew. Does no harm
  /// after a suspend that was cancelled: the grants of then are live still. [GRANT-003]
  Status resume() { return entries_.resume(); }

  /// References that could still be handed out without growing.
  uint32_t free_references() const { return free_count_; }
  /// Grants whose peers have not let go yet.
  uint32_t parked() const { return parked_count_.load(std::memory_order_relaxed); }

 private:
  class Cache;
  struct Parked {
    GrantRef ref = 0;
    platform::Page page;
  };

  Status revoke(GrantRef ref, unsigned tries);
  /// Moves up to `wanted` references into `out`; grows the table when none is left.
  uint32_t take(GrantRef* out, uint32_t wanted);
  void give_back(const GrantRef* refs, uint32_t count);
  void park(GrantRef ref, platform::Page page);
  /// Tries to end up to `limit` parked grants, oldest first.
  void retry_parked(uint32_t limit);
  Status grow();

  platform::Platform& platform_;
  GrantEntries entries_;
  Owned<platform::Lock> lock_;  ///< guards all below
  platform::Array<GrantRef> free_;
  uint32_t free_count_ = 0;
  platform::Array<Parked> parked_;
  std::atomic<uint32_t> parked_count_{0};
};

}  // namespace ringside::xenbus
