#pragma once

#include <cstddef>
#include <set>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

namespace ringside::conformance {

/// A choice of one level for each factor.
using Combination = std::vector<unsigned>;

/// Combinations among which each pair of levels of two factors occurs; always the same ones.
/// `levels`: how many each factor has.
inline std::vector<Combination> pairwise(std::span<const unsigned> levels) {
  using Pair = std::tuple<size_t, unsigned, size_t, unsigned>;
  std::set<Pair> open;
  for (size_t a = 0; a < levels.size(); ++a) {
    for (size_t b = a + 1; b < levels.size(); ++b) {
      for (unsigned i = 0; i < levels[a]; ++i) {
        for (unsigned j = 0; j < levels[b]; ++j) open.insert({a, i, b, j});
      }
    }
  }
  std::vector<Combination> combinations;
  while (!open.empty()) {
    // Begins with a pair that is missing, and takes at each factor what adds most.
    const auto [first, level, second, other] = *open.begin();
    Combination chosen(levels.size(), 0);
    std::vector<bool> fixed(levels.size(), false);
    chosen[first] = level;
    chosen[second] = other;
    fixed[first] = fixed[second] = true;
    for (size_t factor = 0; factor < levels.size(); ++factor) {
      if (fixed[factor]) continue;
      size_t best = 0;
      for (unsigned i = 0; i < levels[factor]; ++i) {
        size_t gain = 0;
        for (size_t b = 0; b < levels.size(); ++b) {
          if (!fixed[b]) continue;
          gain += b < factor ? open.count({b, chosen[b], factor, i})
                             : open.count({factor, i, b, chosen[b]});
        }
        if (gain <= best && i > 0) continue;
        best = gain;
        chosen[factor] = i;
      }
      fixed[factor] = true;
    }
    for (size_t a = 0; a < levels.size(); ++a) {
      for (size_t b = a + 1; b < levels.size(); ++b) open.erase({a, chosen[a], b, chosen[b]});
    }
    combinations.push_back(std::move(chosen));
  }
  return combinations;
}

}  // namespace ringside::conformance
