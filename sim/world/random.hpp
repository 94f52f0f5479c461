#pragma once

#include <cstdint>

namespace ringside::sim {

/// A small seeded generator (xoshiro256**, seeded by splitmix64): the same numbers on every
/// host. Not thread-safe: a threaded world's actors keep one each.
class Random {
 public:
  explicit Random(uint64_t seed);

  uint64_t next();
  /// Uniform in 0..bound-1; 0 when `bound` is 0.
  uint64_t below(uint64_t bound);
  /// True with the given probability, 0.0 to 1.0.
  bool chance(double probability);
  /// An independent generator, so that one user's draws don't shift another's.
  Random fork();

 private:
  uint64_t state_[4];
};

}  // namespace ringside::sim
