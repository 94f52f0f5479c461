#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace ringside::conformance {

enum class Colour { kGreen, kYellow, kRed, kBold };

/// `text` in colour when standard output is a terminal (and NO_COLOR is not set).
std::string coloured(std::string_view text, Colour colour);

/// One line on standard error that tells how far a long step is: only on a terminal, only
/// after two seconds, a few times a second, and gone when the step is over.
class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(size_t done, size_t total, std::string_view what);

 private:
  using Clock = std::chrono::steady_clock;
  bool terminal_;
  bool shown_ = false;
  Clock::time_point next_;
};

}  // namespace ringside::conformance
