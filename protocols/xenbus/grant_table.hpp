#pragma once

#include <atomic>
#include <cstdint>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/hypercalls.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"

namespace ringside::xenbus {

/// This domain's grant table, version 1: entries of 8 bytes, 512 in a frame.
///
/// Grows by one frame when its free list runs dry, up to what GNTTABOP_query_size allows.
/// Frames above 32 bits can't be named in version 1: permit() answers kNotSupported.
/// Source: grant_table.h. [GRANT-001..004]
class GrantTable final : public Grants {
 public:
  static constexpr unsigned kEntriesPerFrame = platform::kPageSize / sizeof(grant_entry_v1_t);
  /// 0..7 are Xen's; 8..31 stay untouched as crash kernels and toolstacks expect. [GRANT-001]
  static constexpr GrantRef kFirstUsable = 32;
  /// The most frames ever asked for: 64 Ki references.
  static constexpr uint32_t kMaxFrames = 128;

  GrantTable(platform::Platform& platform, Hypercalls& xen) : platform_(platform), xen_(xen) {}
  GrantTable(const GrantTable&) = delete;
  GrantTable& operator=(const GrantTable&) = delete;
  ~GrantTable();

  Status start();
  /// Puts the frames of the new domain where the former ones were: all that was granted is not
  /// any more, and its revoke() succeeds at once. Any level.
  Status resume();
  Result<Owned<GrantCache>> create_cache(const char* name, uint32_t reserve,
                                         uint32_t limit) override;

  /// References that could still be handed out without growing.
  uint32_t free_references() const { return free_count_; }
  /// Grants whose peers have not let go yet.
  uint32_t parked() const { return parked_count_.load(std::memory_order_relaxed); }

 private:
  class Cache;
  struct Frame {
    std::byte* address = nullptr;
    platform::Array<platform::Page> parked_pages;  ///< by entry; only parked ones are set
  };

  grant_entry_v1_t* entry(GrantRef ref) const;
  Status permit(GrantRef ref, DomainId peer, platform::Frame frame, Access access);
  Status revoke(GrantRef ref, unsigned tries);
  /// Moves up to `wanted` references into `out`; grows the table when none is left.
  uint32_t take(GrantRef* out, uint32_t wanted);
  void give_back(const GrantRef* refs, uint32_t count);
  void park(GrantRef ref, platform::Page page);
  /// Tries to end up to `limit` parked grants, oldest first.
  void retry_parked(uint32_t limit);
  Status grow();
  Result<std::byte*> place(uint32_t index);

  platform::Platform& platform_;
  Hypercalls& xen_;
  Owned<platform::Lock> lock_;  ///< guards all below but the entries themselves
  platform::Frame first_frame_ = 0;
  uint32_t max_frames_ = 0;
  uint32_t frame_count_ = 0;
  platform::Array<Frame> frames_;
  platform::Array<GrantRef> free_;
  uint32_t free_count_ = 0;
  platform::Array<GrantRef> parked_;
  std::atomic<uint32_t> parked_count_{0};
};

}  // namespace ringside::xenbus
