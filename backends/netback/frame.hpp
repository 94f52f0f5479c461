#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "protocols/xenvif/packet.hpp"

namespace ringside::backends {

/// One Ethernet frame on the back end's side of a vif, with what the ring said about it.
struct Frame {
  using Checksum = xenvif::Checksum;
  using GsoType = xenvif::GsoType;

  std::vector<std::byte> bytes;
  Checksum checksum = Checksum::kUnknown;
  GsoType gso_type = GsoType::kNone;
  uint16_t gso_size = 0;
  xenvif::PacketHash hash{};

  /// Forgets all but the memory of `bytes`.
  void clear() {
    bytes.clear();
    checksum = Checksum::kUnknown;
    gso_type = GsoType::kNone;
    gso_size = 0;
    hash = {};
  }

  friend bool operator==(const Frame&, const Frame&) = default;
};

/// Frames that are done with, for the sake of their memory.
class FramePool {
 public:
  /// An empty frame.
  Frame take() {
    if (spent_.empty()) return {};
    Frame frame = std::move(spent_.back());
    spent_.pop_back();
    frame.clear();
    return frame;
  }
  void give(Frame&& frame) {
    if (spent_.size() < kMost) spent_.push_back(std::move(frame));
  }

 private:
  static constexpr size_t kMost = 64;
  std::vector<Frame> spent_;
};

}  // namespace ringside::backends
