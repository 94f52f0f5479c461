#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {

struct ReplayOptions {
  uint64_t seed = 1;
  std::string backend = "reference";
  std::string record;  ///< of a network: a pcapng file to write; empty for none
  /// Told how far a long replay is.
  std::function<void(size_t done, size_t total, std::string_view what)> progress;
};

/// What a replay found wrong; keeps the first few and counts them all.
class Findings {
 public:
  void add(std::string finding) {
    if (++count_ <= kKept) kept_.push_back(std::move(finding));
  }
  bool empty() const { return count_ == 0; }
  size_t count() const { return count_; }
  const std::vector<std::string>& kept() const { return kept_; }
  Outcome outcome() const { return empty() ? Outcome::kSuccess : Outcome::kFailure; }

 private:
  static constexpr size_t kKept = 10;
  size_t count_ = 0;
  std::vector<std::string> kept_;
};

}  // namespace ringside::conformance
