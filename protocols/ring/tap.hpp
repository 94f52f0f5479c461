#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringside::ring {

/// An onlooker of one ring's traffic (a digest, a recorder). A ring without one pays a
/// null check per batch produced and per slot consumed.
class Tap {
 public:
  enum class Side : uint8_t { kFront, kBack };
  /// `slot` was made visible to the peer under `index` (free-running).
  virtual void produced(Side side, uint32_t index, std::span<const std::byte> slot) = 0;
  /// The private copy of the peer's `slot` was taken.
  virtual void consumed(Side side, uint32_t index, std::span<const std::byte> slot) = 0;

 protected:
  ~Tap() = default;
};

}  // namespace ringside::ring
