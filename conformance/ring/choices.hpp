#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/world/random.hpp"

namespace ringside::conformance {

/// What a model check decides on the way, so that it can come back and decide otherwise.
class Choices {
 public:
  /// Goes through all executions, depth first.
  static Choices exhaustive() { return Choices(std::nullopt); }
  /// Draws one execution after the other, without end.
  static Choices drawn(uint64_t seed) { return Choices(sim::Random(seed)); }

  /// One of 0..options-1, from here on part of this execution.
  unsigned choose(unsigned options) {
    if (position_ == taken_.size()) {
      const auto drawn = random_ ? random_->below(options) : 0;
      taken_.push_back({static_cast<unsigned>(drawn), options});
    }
    return taken_[position_++].chosen;
  }

  /// What choose() gives next was decided by an earlier execution, or is the one decision that
  /// differs from it.
  bool replaying() const { return position_ < taken_.size(); }

  /// Sets up the next execution; false when there is none.
  bool next() {
    position_ = 0;
    if (random_) {
      taken_.clear();
      return true;
    }
    while (!taken_.empty() && taken_.back().chosen + 1 == taken_.back().options) {
      taken_.pop_back();
    }
    if (taken_.empty()) return false;
    ++taken_.back().chosen;
    return true;
  }

 private:
  struct Taken {
    unsigned chosen;
    unsigned options;
  };

  explicit Choices(std::optional<sim::Random> random) : random_(random) {}

  std::optional<sim::Random> random_;
  std::vector<Taken> taken_;
  size_t position_ = 0;
};

}  // namespace ringside::conformance
