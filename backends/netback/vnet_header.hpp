#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "backends/netback/frame.hpp"

namespace ringside::backends {

/// What a TAP interface says beside each frame. Source: virtio 1.2, 5.1.6; <linux/virtio_net.h>
/// is no C++.
struct VnetHeader {
  static constexpr uint8_t kNeedsChecksum = 1;
  static constexpr uint8_t kDataValid = 2;
  static constexpr uint8_t kGsoNone = 0;
  static constexpr uint8_t kGsoTcpV4 = 1;
  static constexpr uint8_t kGsoUdp = 3;
  static constexpr uint8_t kGsoTcpV6 = 4;
  static constexpr uint8_t kGsoEcn = 0x80;

  uint8_t flags = 0;
  uint8_t gso_type = kGsoNone;
  uint16_t header_length = 0;    ///< of all protocol headers, of a GSO frame
  uint16_t gso_size = 0;         ///< payload of each segment
  uint16_t checksum_start = 0;   ///< with kNeedsChecksum: where it is summed from
  uint16_t checksum_offset = 0;  ///< and where it goes from there
};
static_assert(sizeof(VnetHeader) == 10);

/// What travels beside a frame's bytes, in the terms of netif and of virtio alike.
struct Offload {
  Frame::Checksum checksum = Frame::Checksum::kUnknown;
  Frame::GsoType gso_type = Frame::GsoType::kNone;
  uint16_t gso_size = 0;

  friend bool operator==(const Offload&, const Offload&) = default;
};

/// What `header`, which came with `frame`, says of it. A blank checksum that netif has no words
/// for (neither TCP nor UDP) is filled in. Nothing when netif can't carry the frame at all.
std::optional<Offload> from_vnet(const VnetHeader& header, std::span<std::byte> frame);

/// The header to go with a frame of which `head` is the beginning, all protocol headers included.
VnetHeader to_vnet(const Offload& offload, std::span<const std::byte> head);

}  // namespace ringside::backends
