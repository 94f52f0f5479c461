#include "conformance/rig/options.hpp"

namespace ringside::conformance {

Options& options() {
  static Options chosen;
  return chosen;
}

}  // namespace ringside::conformance
