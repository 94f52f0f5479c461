#pragma once

#include <algorithm>
#include <stdexcept>
#include <string_view>

namespace ringside::conformance {

/// How a test, a replay or a whole run ended, mildest first. A fault of the bench or of its
/// input is kError and is never reported as a failed test.
enum class Outcome { kSuccess, kSkip, kError, kFailure, kCrash };

/// The program's exit code: 0, 3, 4, 5, 6.
constexpr int exit_code(Outcome outcome) {
  return outcome == Outcome::kSuccess ? 0 : static_cast<int>(outcome) + 2;
}

constexpr std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kSuccess: return "SUCCESS";
    case Outcome::kSkip: return "SKIP";
    case Outcome::kError: return "ERROR";
    case Outcome::kFailure: return "FAILURE";
    case Outcome::kCrash: return "CRASH";
  }
  return "ERROR";
}

constexpr Outcome worse(Outcome a, Outcome b) { return std::max(a, b); }

/// Input or surroundings that the bench can't work with: one clear sentence for the user,
/// who gets kError.
class Problem : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace ringside::conformance
