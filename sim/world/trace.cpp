#include "sim/world/trace.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

namespace ringside::sim {
namespace {

std::string hex(uint64_t value, int digits) {
  std::string text(static_cast<size_t>(digits), '0');
  for (size_t i = text.size(); i > 0; --i, value >>= 4)
    text[i - 1] = "0123456789abcdef"[value & 15];
  return text;
}

std::string line_of(const Trace::Step& step) {
  std::string line = std::to_string(step.index) + ' ' + to_string(step.kind) + ' ' + step.what;
  for (size_t i = 0; i < std::min(step.number_count, step.numbers.size()); ++i) {
    line += ' ' + std::to_string(step.numbers[i]);
  }
  if (step.byte_count > 0) line += " +" + std::to_string(step.byte_count) + " bytes";
  return line;
}

}  // namespace

const char* to_string(Trace::Kind kind) {
  switch (kind) {
    case Trace::Kind::kWorld: return "world";
    case Trace::Kind::kPort: return "port";
    case Trace::Kind::kHypercall: return "hypercall";
    case Trace::Kind::kGrant: return "grant";
    case Trace::Kind::kEvent: return "event";
    case Trace::Kind::kStore: return "store";
    case Trace::Kind::kRing: return "ring";
    case Trace::Kind::kDevice: return "device";
  }
  return "unknown";
}

std::string Trace::digest() const { return hex(lanes_[0], 16) + hex(lanes_[1], 16); }

std::vector<std::string> Trace::recent() const {
  std::vector<std::string> lines;
  const size_t kept = history_.size();
  for (size_t i = 0; i < kept; ++i) {
    lines.push_back(line_of(history_[(count_ - kept + i) % kHistory]));
  }
  return lines;
}

void Trace::fold(Kind kind, const char* what, std::initializer_list<uint64_t> numbers,
                 std::span<const std::byte> bytes) {
  mix(static_cast<uint64_t>(kind) << 56 | numbers.size() << 32 | bytes.size());
  mix(std::as_bytes(std::span(std::string_view(what))));
  for (const uint64_t number : numbers) mix(number);
  mix(bytes);

  Step step{.index = count_, .kind = kind, .what = what, .byte_count = bytes.size()};
  step.number_count = numbers.size();
  std::copy_n(numbers.begin(), std::min(numbers.size(), step.numbers.size()), step.numbers.begin());
  if (history_.size() < kHistory) {
    history_.push_back(step);
  } else {
    history_[count_ % kHistory] = step;
  }
  ++count_;
  if (listener_) listener_(step);
}

void Trace::mix(uint64_t value) {
  lanes_[0] = (lanes_[0] ^ value) * 0x9e3779b97f4a7c15u;
  lanes_[0] ^= lanes_[0] >> 29;
  lanes_[1] = (std::rotl(lanes_[1], 23) ^ value ^ lanes_[0]) * 0xd6e8feb86659fd93u;
  lanes_[1] ^= lanes_[1] >> 32;
}

void Trace::mix(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    uint64_t word = 0;
    const size_t taken = std::min(bytes.size(), sizeof word);
    std::memcpy(&word, bytes.data(), taken);
    mix(word);
    bytes = bytes.subspan(taken);
  }
}

}  // namespace ringside::sim
