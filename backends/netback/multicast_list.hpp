#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>

#include "backends/netback/frame.hpp"

namespace ringside::backends {

/// The multicast addresses that a guest wants, and whether it wants no others.
/// Source: xen/io/netif.h, feature-multicast-control.
class MulticastList {
 public:
  using Address = std::array<uint8_t, 6>;
  static constexpr size_t kMost = 64;  ///< as xen-netback has it

  /// False when the list is full. [NETIF-CTL-012]
  bool add(const Address& address) {
    if (addresses_.contains(address)) return true;
    if (addresses_.size() == kMost) return false;
    addresses_.insert(address);
    return true;
  }
  void remove(const Address& address) { addresses_.erase(address); }
  void clear() { addresses_.clear(); }
  void apply(bool filtering) { filtering_ = filtering; }

  bool wants(const Frame& frame) const {
    Address to{};
    if (!filtering_ || frame.bytes.size() < to.size()) return true;
    for (size_t i = 0; i < to.size(); ++i) to[i] = std::to_integer<uint8_t>(frame.bytes[i]);
    const bool multicast = (to[0] & 1) != 0;
    return !multicast || to == kBroadcast || addresses_.contains(to);
  }

 private:
  static constexpr Address kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

  bool filtering_ = false;
  std::set<Address> addresses_;
};

}  // namespace ringside::backends
