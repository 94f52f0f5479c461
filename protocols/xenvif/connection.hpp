#pragma once

#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"
#include "protocols/xenvif/features.hpp"
#include "protocols/xenvif/hash_settings.hpp"

namespace ringside::xenvif {

inline constexpr uint32_t kRingSlots = 256;  ///< of either ring, in its one page [RING-001]

/// What a queue's two halves know of the back end they are connected to.
struct Connection {
  xenbus::GrantCache* grants = nullptr;
  xenbus::DomainId peer = 0;
  BackendFeatures features;
  Settings settings;
  const HashSettings* hash = nullptr;
};

/// How a poll ended: all seen, or the budget ran out first.
enum class Poll : uint8_t { kIdle, kMore };

}  // namespace ringside::xenvif
