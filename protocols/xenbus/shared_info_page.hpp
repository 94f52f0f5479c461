#pragma once

#include <cstddef>
#include <cstdint>

#include "protocols/platform/platform.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/xenbus/hypercalls.hpp"
#include "protocols/xenbus/interfaces/shared_info.hpp"

namespace ringside::xenbus {

/// The shared info page, put where it can be seen for as long as this lives, and the time in it.
class SharedInfoPage {
 public:
  SharedInfoPage(platform::Platform& platform, Hypercalls& xen) : platform_(platform), xen_(xen) {}
  SharedInfoPage(const SharedInfoPage&) = delete;
  SharedInfoPage& operator=(const SharedInfoPage&) = delete;
  ~SharedInfoPage();
  Status start();
  /// Puts the page of the new domain where the former one was. EARLY.
  Status resume();
  std::byte* address() const { return address_; }

  /// See SharedInfo.
  Result<WallClock> time();
  bool upcall_pending(unsigned cpu) const;

 private:
  static constexpr unsigned kMaxTries = 1000;  ///< Xen changes the time within microseconds

  Status place();
  /// False when Xen changed it meanwhile, or this CPU is another one now.
  bool read_system_time(uint64_t& nanoseconds) const;
  bool read_boot_time(uint64_t& nanoseconds) const;
  const shared_info_t& page() const { return *reinterpret_cast<const shared_info_t*>(address_); }

  platform::Platform& platform_;
  Hypercalls& xen_;
  platform::Frame frame_ = 0;
  bool reserved_ = false;
  bool placed_ = false;
  std::byte* address_ = nullptr;
};

/// `ticks` of the time stamp counter in nanoseconds. Source: xen.h, vcpu_time_info. [TIME-002]
uint64_t scale_ticks(uint64_t ticks, uint32_t multiplier, int8_t shift);

}  // namespace ringside::xenbus
