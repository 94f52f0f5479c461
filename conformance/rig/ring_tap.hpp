#pragma once

#include <cstdint>

#include "protocols/ring/tap.hpp"
#include "sim/world/trace.hpp"

namespace ringside::conformance {

/// Folds a ring's traffic into the world's digest. `id` tells rings apart.
class RingTap final : public ring::Tap {
 public:
  RingTap(sim::Trace& trace, uint64_t id) : trace_(trace), id_(id) {}

  void produced(Side side, uint32_t index, std::span<const std::byte> slot) override {
    trace_.record(sim::Trace::Kind::kRing, "produced", {id_, static_cast<uint64_t>(side), index},
                  slot);
  }
  void consumed(Side side, uint32_t index, std::span<const std::byte> slot) override {
    trace_.record(sim::Trace::Kind::kRing, "consumed", {id_, static_cast<uint64_t>(side), index},
                  slot);
  }

 private:
  sim::Trace& trace_;
  uint64_t id_;
};

}  // namespace ringside::conformance
