#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "protocols/platform/platform.hpp"

namespace ringside::xenbus {

using platform::kPageSize;

/// Memory and a log; time stands still and nothing runs.
class HostPlatform final : public platform::Platform {
 public:
  void* allocate(size_t bytes) override {
    if (allocations_left == 0) return nullptr;
    --allocations_left;
    ++blocks;
    return std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  }
  void release(void* memory) override {
    if (memory != nullptr) --blocks;
    std::free(memory);
  }
  Result<platform::Page> allocate_page() override { return Status::kNoMemory; }
  void release_page(platform::Page page) override { released.push_back(page.frame); }
  Result<platform::PageRange> allocate_pages(unsigned) override { return Status::kNoMemory; }
  void release_pages(const platform::PageRange&) override {}
  Result<platform::Frame> reserve_frames(unsigned) override { return platform::Frame{1000}; }
  void release_frames(platform::Frame, unsigned) override {}
  Result<std::byte*> map_frame(platform::Frame frame) override { return frames[frame].data(); }
  void unmap_frame(std::byte*) override {}
  uint64_t tsc() override { return 0; }
  platform::Nanoseconds now() override { return 0; }
  Status wait_until(platform::Event&, platform::Nanoseconds) override { return Status::kTimedOut; }
  void yield() override {
    if (on_yield) on_yield();
  }
  unsigned cpu() override { return on_cpu; }
  unsigned cpu_count() override { return 2; }
  Result<Owned<platform::Event>> create_event() override { return Status::kNotSupported; }
  Result<Owned<platform::Lock>> create_lock() override {
    return Owned<platform::Lock>(new HostLock);
  }
  Result<Owned<platform::Timer>> create_timer(Delegate, unsigned) override {
    return Status::kNotSupported;
  }
  Result<Owned<platform::Work>> create_work(Delegate, unsigned) override {
    return Status::kNotSupported;
  }
  void set_upcall(unsigned, Delegate) override {}
  uint8_t upcall_vector(unsigned) override { return 0; }
  uint32_t upcall_line() override { return 0; }
  uint64_t random() override { return 4; }
  void log(platform::LogLevel, std::string_view line) override { lines.emplace_back(line); }
  uint32_t setting(std::string_view name, uint32_t fallback) override {
    const auto found = settings.find(std::string(name));
    return found == settings.end() ? fallback : found->second;
  }
  Status store_setting(std::string_view name, uint32_t value) override {
    settings[std::string(name)] = value;
    return Status::kOk;
  }
  uint32_t read_port(uint16_t, unsigned) override { return ~0u; }
  void write_port(uint16_t, unsigned, uint32_t) override {}
  [[noreturn]] void fail(const char*, int, const char*) override { std::abort(); }

  std::map<platform::Frame, std::array<std::byte, kPageSize>> frames;
  std::vector<platform::Frame> released;
  std::vector<std::string> lines;
  std::function<void()> on_yield;
  std::map<std::string, uint32_t> settings;
  unsigned on_cpu = 0;
  uint64_t allocations_left = ~uint64_t{0};
  int blocks = 0;  ///< on the heap now

 private:
  struct HostLock final : platform::Lock {
    void acquire() override { ASSERT_FALSE(std::exchange(held, true)) << "taken twice"; }
    void release() override { held = false; }
    void destroy() override { delete this; }
    bool held = false;
  };
};

}  // namespace ringside::xenbus
