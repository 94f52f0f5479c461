#pragma once

#include <cstdint>
#include <cstdlib>
#include <utility>

#include "protocols/platform/platform.hpp"

// What fuzz targets stand on.

namespace ringside {

#define CHECK(condition) ((condition) ? void(0) : std::abort())

/// What the fuzzer made up, byte by byte; zeros behind its end.
struct FuzzInput {
  uint8_t byte() { return at < size ? data[at++] : uint8_t{0}; }
  uint16_t word() { return static_cast<uint16_t>(byte() | byte() << 8); }
  uint32_t double_word() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | byte();
    return value;
  }
  bool over() const { return at >= size; }
  const uint8_t* data;
  size_t size;
  size_t at = 0;
};

struct FakeLock final : platform::Lock {
  void acquire() override { CHECK(!std::exchange(held, true)); }
  void release() override { CHECK(std::exchange(held, false)); }
  void destroy() override { delete this; }
  bool held = false;
};

/// Both deferred things: runs when the input says so.
template <typename Base>
struct Deferred : Base {
  explicit Deferred(Delegate function) : run(function) {}
  virtual ~Deferred() = default;
  void cancel() override { due = false; }
  void destroy() override { due = false; }
  void fire() {
    if (std::exchange(due, false)) run();
  }
  Delegate run;
  bool due = false;
};
struct FakeWork final : Deferred<platform::Work> {
  using Deferred::Deferred;
  void queue() override { due = true; }
};
struct FakeTimer final : Deferred<platform::Timer> {
  using Deferred::Deferred;
  void start(platform::Nanoseconds) override { due = true; }
};

}  // namespace ringside
