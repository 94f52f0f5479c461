#pragma once

#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"

namespace ringside::xenvif {

/// A page of the driver and the grant by which the peer maps it.
class GrantedPage {
 public:
  GrantedPage() = default;
  GrantedPage(const GrantedPage&) = delete;
  GrantedPage& operator=(const GrantedPage&) = delete;

  Status prepare(platform::Platform& platform, xenbus::GrantCache& grants, xenbus::DomainId peer);
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
