#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"

namespace ringside::xenvbd {

/// The pages under a ring and the grants by which the peer maps them.
class RingArea {
 public:
  RingArea() = default;
  RingArea(const RingArea&) = delete;
  RingArea& operator=(const RingArea&) = delete;

  /// 2^order pages. Nothing is granted yet: the ring is to be laid first.
  Status allocate(platform::Platform& platform, uint32_t order);
  Status permit(xenbus::GrantCache& grants, xenbus::DomainId peer);
  /// kBusy: the peer still maps a page of it; nothing is freed, to be called again.
  Status release(platform::Platform& platform, xenbus::GrantCache& grants);

  bool held() const { return pages_.count > 0; }
  std::span<std::byte> bytes() const { return pages_.bytes(); }
  std::span<const xenbus::GrantRef> refs() const { return {refs_.data(), granted_}; }

 private:
  platform::PageRange pages_;
  std::array<xenbus::GrantRef, platform::kMaxRangePages> refs_{};
  uint32_t granted_ = 0;
};

}  // namespace ringside::xenvbd
