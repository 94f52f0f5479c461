#pragma once

extern "C" {
#include <xengnttab.h>
}

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "sim/dropin/libs/channel.hpp"

/// The handle of <xengnttab.h>: its maps are mappings of the host's memory file.
struct xengntdev_handle {
  struct Region {
    std::vector<uint32_t> handles{};
    uint32_t notify_offset = ~0u;  ///< none
  };

  ~xengntdev_handle();

  /// The whole of the machine's memory, mapped at the first call; nullptr with errno.
  std::byte* memory();

  ringside::sim::dropin::Channel channel;
  std::mutex mutex;  // the rest, and each copy from its hold to its end
  std::map<void*, Region> regions;
  std::byte* all = nullptr;
  size_t all_bytes = 0;
};
