#include "protocols/xenbus/shared_info_page.hpp"

#include <atomic>

namespace ringside::xenbus {
namespace {

/// The version of a seqlock: odd while Xen writes. [TIME-001]
uint32_t begin_read(const uint32_t& version) { return __atomic_load_n(&version, __ATOMIC_ACQUIRE); }

bool end_read(const uint32_t& version, uint32_t begun) {
  std::atomic_thread_fence(std::memory_order_acquire);
  return (begun & 1) == 0 && __atomic_load_n(&version, __ATOMIC_RELAXED) == begun;
}

template <typename T>
T peek(const T& shared) {
  return *const_cast<const volatile T*>(&shared);
}

}  // namespace

uint64_t scale_ticks(uint64_t ticks, uint32_t multiplier, int8_t shift) {
  constexpr int kBits = 64;
  if (shift <= -kBits || shift >= kBits) return 0;  // no clock is that fast or slow
  ticks = shift < 0 ? ticks >> -shift : ticks << shift;
  // In two halves, as the product has up to 96 bits.
  return (ticks >> 32) * multiplier + ((ticks & 0xffffffff) * multiplier >> 32);
}

SharedInfoPage::~SharedInfoPage() {
  if (address_ != nullptr) platform_.unmap_frame(address_);
  if (placed_) (void)xen_.remove_from_physmap(frame_);
  if (reserved_) platform_.release_frames(frame_, 1);
}

Status SharedInfoPage::start() {
  const auto frame = platform_.reserve_frames(1);
  if (!frame) return frame.status();
  frame_ = *frame;
  reserved_ = true;
  return place();
}

Status SharedInfoPage::resume() {
  platform_.unmap_frame(address_);
  address_ = nullptr;
  placed_ = false;
  return place();
}

Status SharedInfoPage::place() {
  const Status placed = xen_.add_to_physmap(XENMAPSPACE_shared_info, 0, frame_);
  if (!ok(placed)) return placed;
  placed_ = true;
  const auto address = platform_.map_frame(frame_);
  if (!address) return address.status();
  address_ = *address;
  return Status::kOk;
}

Result<WallClock> SharedInfoPage::time() {
  uint64_t boot = 0;
  uint64_t since_boot = 0;
  for (unsigned tries = 0; !read_boot_time(boot) || !read_system_time(since_boot); ++tries) {
    if (tries == kMaxTries) return Status::kAgain;
    platform_.yield();
  }
  return WallClock{.nanoseconds = boot + since_boot,
                   .local = platform_.setting("RealTimeIsUniversal", 0) == 0};
}

bool SharedInfoPage::upcall_pending(unsigned cpu) const {
  return cpu < XEN_LEGACY_MAX_VCPUS && peek(page().vcpu_info[cpu].evtchn_upcall_pending) != 0;
}

bool SharedInfoPage::read_system_time(uint64_t& nanoseconds) const {
  const unsigned cpu = platform_.cpu();
  // What has no place in the page is told what the first CPU is.
  const vcpu_time_info_t& time = page().vcpu_info[cpu < XEN_LEGACY_MAX_VCPUS ? cpu : 0].time;
  const uint32_t begun = begin_read(time.version);
  const uint64_t stamp = peek(time.tsc_timestamp);
  const uint64_t base = peek(time.system_time);
  const uint32_t multiplier = peek(time.tsc_to_system_mul);
  const int8_t shift = peek(time.tsc_shift);
  const uint64_t now = platform_.tsc();
  if (!end_read(time.version, begun) || platform_.cpu() != cpu) return false;
  // A counter that is behind another CPU's does not turn time back.
  nanoseconds = base + (now > stamp ? scale_ticks(now - stamp, multiplier, shift) : 0);
  return true;
}

bool SharedInfoPage::read_boot_time(uint64_t& nanoseconds) const {
  const shared_info_t& info = page();
  const uint32_t begun = begin_read(info.wc_version);
  // TIME-003: seconds have 64 bits, but not in one piece.
  const uint64_t seconds = uint64_t{peek(info.xen_wc_sec_hi)} << 32 | peek(info.wc_sec);
  const uint32_t rest = peek(info.wc_nsec);
  if (!end_read(info.wc_version, begun)) return false;
  nanoseconds = seconds * platform::kSecond + rest;
  return true;
}

}  // namespace ringside::xenbus
