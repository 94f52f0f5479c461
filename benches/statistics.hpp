#pragma once

#include <algorithm>
#include <vector>

namespace ringside::benches {

/// Precondition of both: `values` is not empty.
inline double median(std::vector<double> values) {
  const size_t middle = values.size() / 2;
  std::sort(values.begin(), values.end());
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// The slowest by the fastest.
inline double spread(const std::vector<double>& values) {
  const auto [fastest, slowest] = std::minmax_element(values.begin(), values.end());
  return *slowest / *fastest;
}

}  // namespace ringside::benches
