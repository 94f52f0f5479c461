#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "protocols/xenvif/packet.hpp"

namespace ringside::xenvif {

/// The multicast addresses that the back end is to let through, and those it has been told of.
class MulticastFilter {
 public:
  static constexpr size_t kMost = 64;  ///< as xen-netback has it
  struct Change {
    bool add = false;
    MacAddress address{};
  };

  /// False, and nothing is changed, when they are too many.
  bool set(std::span<const MacAddress> wanted) {
    if (wanted.size() > kMost) return false;
    wanted_.assign(wanted);
    return true;
  }
  /// A new peer knows of none.
  void forget_told() { told_.count = 0; }

  /// What the peer is to be told next; nothing when it knows all.
  std::optional<Change> next() const {
    // What is not wanted any more goes first: the peer's list has no more room than ours.
    for (const MacAddress& address : told_.view()) {
      if (!wanted_.has(address)) return Change{false, address};
    }
    for (const MacAddress& address : wanted_.view()) {
      if (!told_.has(address)) return Change{true, address};
    }
    return {};
  }
  void told(const Change& change) {
    if (change.add) {
      told_.items[told_.count++] = change.address;
    } else {
      told_.remove(change.address);
    }
  }

 private:
  struct List {
    std::array<MacAddress, kMost> items{};
    size_t count = 0;

    std::span<const MacAddress> view() const { return std::span(items).first(count); }
    bool has(const MacAddress& address) const {
      return std::find(view().begin(), view().end(), address) != view().end();
    }
    void assign(std::span<const MacAddress> from) {
      std::copy(from.begin(), from.end(), items.begin());
      count = from.size();
    }
    void remove(const MacAddress& address) {
      const auto end = items.begin() + static_cast<ptrdiff_t>(count);
      const auto found = std::find(items.begin(), end, address);
      if (found == end) return;
      *found = items[--count];
    }
  };

  List wanted_;
  List told_;
};

}  // namespace ringside::xenvif
