#include "conformance/report/terminal.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace ringside::conformance {
namespace {

constexpr auto kQuietAtFirst = std::chrono::seconds(2);
constexpr auto kBetween = std::chrono::milliseconds(200);
constexpr size_t kWidth = 60;

const char* code(Colour colour) {
  switch (colour) {
    case Colour::kGreen: return "32";
    case Colour::kYellow: return "33";
    case Colour::kRed: return "31";
    case Colour::kBold: return "1";
  }
  return "0";
}

}  // namespace

std::string coloured(std::string_view text, Colour colour) {
  static const bool wanted = isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  if (!wanted) return std::string(text);
  return fmt::format("\033[{}m{}\033[0m", code(colour), text);
}

Progress::Progress() : terminal_(isatty(STDERR_FILENO) == 1), next_(Clock::now() + kQuietAtFirst) {}

Progress::~Progress() {
  if (shown_) fmt::print(stderr, "\r\033[K");
}

void Progress::show(size_t done, size_t total, std::string_view what) {
  if (!terminal_ || Clock::now() < next_) return;
  next_ = Clock::now() + kBetween;
  shown_ = true;
  fmt::print(stderr, "\r\033[K[{}/{}] {}", done, total, what.substr(0, kWidth));
  std::fflush(stderr);
}

}  // namespace ringside::conformance
