#pragma once

#include <atomic>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/hypercalls.hpp"
#include "protocols/xenbus/interfaces/foreign_grants.hpp"

namespace ringside::xenbus {

/// Maps of peers' grants at frame numbers reserved for them. Source: grant_table.h,
/// GNTTABOP_map_grant_ref. [GRANT-007]
class ForeignMaps final : public ForeignGrants {
 public:
  ForeignMaps(platform::Platform& platform, Hypercalls& xen) : platform_(platform), xen_(xen) {}
  ForeignMaps(const ForeignMaps&) = delete;
  ForeignMaps& operator=(const ForeignMaps&) = delete;

  Result<Owned<ForeignMap>> map(DomainId peer, std::span<const GrantRef> refs,
                                Access access) override;
  /// Xen has forgotten all maps (the domain was restored): their ends ask nothing of it.
  void resume() { ++restores_; }

 private:
  class Map;

  platform::Platform& platform_;
  Hypercalls& xen_;
  std::atomic<uint32_t> restores_{0};
};

}  // namespace ringside::xenbus
