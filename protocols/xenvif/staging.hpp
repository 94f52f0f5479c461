#pragma once

#include <cstdint>

#include "protocols/platform/memory.hpp"
#include "protocols/xenvif/connection.hpp"

namespace ringside::xenvif {

/// Pages of the driver's own that the peer may read for the life of one connection, so
/// that sending a small packet costs a copy and no grant operation. They hold nothing but
/// what was sent to that same peer.
class Staging {
 public:
  Staging() = default;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  Status prepare(platform::Platform& platform, const Connection& connection, unsigned pages);
  /// Revokes and frees the pages; those the peer still maps go to the bus.
  void release(platform::Platform& platform, xenbus::GrantCache& grants);

  std::byte* address(unsigned page) { return pages_[page].page.address; }
  xenbus::GrantRef ref(unsigned page) const { return pages_[page].ref; }

 private:
  struct Entry {
    platform::Page page;
    xenbus::GrantRef ref = 0;
    bool granted = false;
  };
  platform::Array<Entry> pages_;
};

}  // namespace ringside::xenvif
