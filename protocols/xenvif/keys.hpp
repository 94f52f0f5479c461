#pragma once

#include <array>
#include <span>
#include <string_view>

#include "protocols/xenbus/node.hpp"

namespace ringside::xenvif {

inline constexpr std::array<std::string_view, 1> kSingleChannelKeys{"event-channel"};
inline constexpr std::array<std::string_view, 2> kSplitChannelKeys{"event-channel-tx",
                                                                   "event-channel-rx"};
inline constexpr std::array<std::string_view, 2> kRingKeys{"tx-ring-ref", "rx-ring-ref"};

/// Removes those of `keys` that are there. Source: xenstore.txt, RM.
inline Status remove_keys(const xenbus::Node& directory, std::span<const std::string_view> keys) {
  for (const std::string_view key : keys) {
    const Status status = directory.remove(key);
    if (status != Status::kOk && status != Status::kNotFound) return status;
  }
  return Status::kOk;
}

}  // namespace ringside::xenvif
