#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace ringside::sim {

/// All that happened in a world, folded into a 128-bit digest, with the last steps kept for
/// failure reports.
///
/// Two runs of one seed have the same digest. What is recorded must not depend on the host:
/// no addresses, no real time. Enabled in deterministic worlds; in threaded ones the order
/// of events is not reproducible, it is off and record() costs one branch.
class Trace {
 public:
  enum class Kind : uint8_t { kWorld, kHypercall, kGrant, kEvent, kStore, kRing, kDevice, kPort };

  /// One recorded step. `what` is a string literal.
  struct Step {
    uint64_t index = 0;
    Kind kind = Kind::kWorld;
    const char* what = "";
    std::array<uint64_t, 6> numbers{};
    size_t number_count = 0;
    size_t byte_count = 0;
  };

  bool enabled() const { return enabled_; }
  void enable(bool on) { enabled_ = on; }

  /// Folds a step into the digest. `what` must be a string literal; the first six numbers
  /// are kept in the history, all count for the digest.
  void record(Kind kind, const char* what, std::initializer_list<uint64_t> numbers = {},
              std::span<const std::byte> bytes = {}) {
    if (enabled_) fold(kind, what, numbers, bytes);
  }

  /// 32 hexadecimal digits.
  std::string digest() const;
  uint64_t count() const { return count_; }
  /// The last steps as readable lines, oldest first.
  std::vector<std::string> recent() const;
  /// Called at each step, after it was folded. An empty function ends it.
  void listen(std::function<void(const Step&)> listener) { listener_ = std::move(listener); }

 private:
  static constexpr size_t kHistory = 256;

  void fold(Kind kind, const char* what, std::initializer_list<uint64_t> numbers,
            std::span<const std::byte> bytes);
  void mix(uint64_t value);
  void mix(std::span<const std::byte> bytes);

  bool enabled_ = false;
  uint64_t count_ = 0;
  std::array<uint64_t, 2> lanes_{0x243f6a8885a308d3u, 0x13198a2e03707344u};
  std::vector<Step> history_;
  std::function<void(const Step&)> listener_;
};

const char* to_string(Trace::Kind kind);

}  // namespace ringside::sim
