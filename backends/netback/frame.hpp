#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "protocols/xenvif/packet.hpp"

namespace ringside::backends {

/// One Ethernet frame on the back end's side of a vif, with what the ring said about it.
struct Frame {
  enum class Checksum : uint8_t { kUnknown, kBlank, kValidated };
  enum class GsoType : uint8_t { kNone = 0, kTcpV4 = 1, kTcpV6 = 2 };

  std::vector<std::byte> bytes;
  Checksum checksum = Checksum::kUnknown;
  GsoType gso_type = GsoType::kNone;
  uint16_t gso_size = 0;
  xenvif::PacketHash hash{};

  friend bool operator==(const Frame&, const Frame&) = default;
};

}  // namespace ringside::backends
