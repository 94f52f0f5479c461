#include "backends/netback/steering.hpp"

#include <algorithm>

#include "protocols/platform/xen.hpp"

namespace ringside::backends {
namespace {

constexpr size_t kMaxHeaders = 512;

/// Any function of addresses and ports will do, but one flow must stay on one queue.
uint32_t flow_of(std::span<const std::byte> head, const xenvif::Headers& headers) {
  const xenvif::HashInput input = xenvif::hash_input(head, headers, xenvif::kAllHashTypes);
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < input.length; ++i) {
    hash = (hash ^ std::to_integer<uint32_t>(input.bytes[i])) * 16777619u;
  }
  return hash;
}

}  // namespace

unsigned Steering::choose(Frame& frame, unsigned queues) const {
  const bool wanted = algorithm == XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ && types != 0;
  if (queues == 1 && !wanted) return 0;
  const auto head =
      std::span<const std::byte>(frame.bytes).first(std::min(frame.bytes.size(), kMaxHeaders));
  const xenvif::Headers headers = xenvif::parse_headers(head);
  if (!wanted) return flow_of(head, headers) % queues;
  frame.hash = xenvif::hash_packet(head, headers, types, toeplitz);
  const uint32_t hash = frame.hash.value;
  return mapping.empty() ? hash % queues : mapping[hash % mapping.size()];
}

}  // namespace ringside::backends
