#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/hypercalls.hpp"
#include "protocols/xenbus/interfaces/balloon.hpp"
#include "protocols/xenbus/range_set.hpp"
#include "protocols/xenbus/suspender.hpp"

namespace ringside::xenbus {

/// The balloon over memory_op. Source: xen/memory.h, XENMEM_decrease_reservation and
/// XENMEM_populate_physmap.
class PageBalloon final : public Balloon {
 public:
  PageBalloon(platform::Platform& platform, Hypercalls& xen, Suspender& suspender)
      : platform_(platform), xen_(xen), suspender_(suspender), frames_(platform) {}
  PageBalloon(const PageBalloon&) = delete;
  PageBalloon& operator=(const PageBalloon&) = delete;
  /// Takes back what Xen still gives; what it does not is lost to the guest, and reported.
  ~PageBalloon();

  Status start();
  Status adjust(uint64_t pages) override;
  uint64_t size() const override { return size_.load(); }

  /// Called at dispatch level once the suspend is over that an adjust() gave way to. Passive
  /// level; after return the former one is not called.
  void on_suspend_over(Delegate over);

 private:
  static constexpr size_t kBatch = 512;
  static constexpr unsigned kBatchesInOne = 16;  ///< call of adjust(): 32 MiB

  Status go_on(uint64_t pages);
  /// One batch, of up to `pages`; how many of them.
  Result<size_t> inflate(uint64_t pages);
  Result<size_t> deflate(uint64_t pages);
  void remember(std::span<const platform::Frame> frames);

  platform::Platform& platform_;
  Hypercalls& xen_;
  Suspender& suspender_;
  RangeSet frames_;  ///< in the balloon
  platform::Array<platform::Frame> batch_;
  std::atomic<uint32_t> size_ = 0;  ///< 32 bits: i386 has no atomic access to 64
  std::atomic<bool> adjusting_ = false;
  Delegate over_;
};

}  // namespace ringside::xenbus
