#include "conformance/rig/pairwise.hpp"

#include <gtest/gtest.h>

namespace ringside::conformance {
namespace {

TEST(PairwiseTest, EachPairOccursInFewCombinations) {
  constexpr unsigned kLevels[] = {2, 3, 2, 4, 2, 2, 3};
  const auto combinations = pairwise(kLevels);
  for (size_t a = 0; a < std::size(kLevels); ++a) {
    for (size_t b = a + 1; b < std::size(kLevels); ++b) {
      std::set<std::pair<unsigned, unsigned>> seen;
      for (const Combination& one : combinations) seen.insert({one[a], one[b]});
      EXPECT_EQ(seen.size(), kLevels[a] * kLevels[b]);
    }
  }
  EXPECT_LT(combinations.size(), 20u) << "of 576";
}

}  // namespace
}  // namespace ringside::conformance
