#pragma once

#include <cstdint>
#include <string>

namespace ringside::conformance {

/// What the command line chose for the tests of this process; a plain gtest program runs
/// with the defaults.
struct Options {
  uint64_t seed = 1;
  /// The back-end profile: "reference" or one that backends/ names.
  std::string backend = "reference";
};

Options& options();

}  // namespace ringside::conformance
