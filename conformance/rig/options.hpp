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
  /// The release of Xen: "4.4". Empty: the newest, and for a world what its seed draws.
  std::string xen;
};

Options& options();

}  // namespace ringside::conformance
