#pragma once

#include "protocols/platform/platform.hpp"
#include "protocols/xenvif/connection.hpp"

namespace ringside::xenvif {

/// The one page under a ring and the grant by which the peer maps it.
class RingPage {
 public:
  RingPage() = default;
  RingPage(const RingPage&) = delete;
  RingPage& operator=(const RingPage&) = delete;

  Status prepare(platform::Platform& platform, const Connection& connection);
  /// Revokes and frees; when the peer still maps it, the bus gets both. [XENBUS-009]
  void release(platform::Platform& platform, xenbus::GrantCache& grants);

  platform::Page page() const { return page_; }
  xenbus::GrantRef ref() const { return ref_; }

 private:
  platform::Page page_;
  xenbus::GrantRef ref_ = 0;
  bool granted_ = false;
};

}  // namespace ringside::xenvif
