#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "backends/netback/frame.hpp"
#include "protocols/xenvif/hash.hpp"

namespace ringside::backends {

/// Which queue of the guest a frame goes to: as the guest asked over the control ring, else by
/// its flow. Source: xen/io/netif.h, "Hash algorithms", SET_HASH_MAPPING.
struct Steering {
  uint32_t algorithm = 0;  ///< XEN_NETIF_CTRL_HASH_ALGORITHM_*
  xenvif::HashTypes types = 0;
  xenvif::Toeplitz toeplitz;
  std::vector<uint32_t> mapping;  ///< empty: the hash modulo the queues

  /// Takes note of the frame's hash, when the guest wants it, and returns its queue.
  /// [NETIF-NEG-006]
  unsigned choose(Frame& frame, unsigned queues) const;
};

}  // namespace ringside::backends
