#pragma once

#include <cstdlib>
#include <cstring>
#include <deque>

#include "protocols/platform/fakes_fuzz.hpp"

namespace ringside {

struct FakeEvent final : platform::Event {
  explicit FakeEvent(int& references) : count(references) { ++count; }
  void signal() override { set = true; }
  void reset() override { set = false; }
  void destroy() override {
    --count;
    delete this;
  }
  int& count;
  bool set = false;
};

/// A platform on which nothing happens by itself and any allocation may fail.
class FakePlatform : public platform::Platform {
 public:
  void* allocate(size_t bytes) override {
    if (fails()) return nullptr;
    ++blocks;
    return std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  }
  void release(void* memory) override {
    if (memory != nullptr) --blocks;
    std::free(memory);
  }
  Result<platform::Page> allocate_page() override {
    if (fails()) return Status::kNoMemory;
    auto* address = static_cast<std::byte*>(std::aligned_alloc(4096, 4096));
    std::memset(address, 0, 4096);
    ++pages;
    return platform::Page{address, ++last_frame};
  }
  void release_page(platform::Page page) override {
    --pages;
    std::free(page.address);
  }
  Result<platform::PageRange> allocate_pages(unsigned) override { return Status::kNoMemory; }
  void release_pages(const platform::PageRange&) override {}
  Result<platform::Frame> reserve_frames(unsigned) override { return Status::kNoMemory; }
  void release_frames(platform::Frame, unsigned) override {}
  Result<std::byte*> map_frame(platform::Frame) override { return Status::kNoMemory; }
  void unmap_frame(std::byte*) override {}
  platform::Nanoseconds now() override { return 0; }
  uint64_t tsc() override { return 0; }
  Status wait_until(platform::Event&, platform::Nanoseconds) override { return Status::kTimedOut; }
  void yield() override {}
  unsigned cpu() override { return 0; }
  unsigned cpu_count() override { return 1; }
  Result<Owned<platform::Event>> create_event() override {
    if (fails()) return Status::kNoMemory;
    return Owned<platform::Event>(new FakeEvent(event_references));
  }
  Result<Owned<platform::Lock>> create_lock() override {
    if (fails()) return Status::kNoMemory;
    return Owned<platform::Lock>(new FakeLock);
  }
  Result<Owned<platform::Timer>> create_timer(Delegate expired, unsigned) override {
    if (fails()) return Status::kNoMemory;
    return Owned<platform::Timer>(&timers.emplace_back(expired));
  }
  Result<Owned<platform::Work>> create_work(Delegate run, unsigned) override {
    if (fails()) return Status::kNoMemory;
    return Owned<platform::Work>(&works.emplace_back(run));
  }
  void set_upcall(unsigned, Delegate) override {}
  uint8_t upcall_vector(unsigned) override { return 0; }
  uint32_t upcall_line() override { return 0; }
  uint64_t random() override { return 4; }
  void log(platform::LogLevel, std::string_view line) override { CHECK(line.size() < 512); }
  uint32_t setting(std::string_view, uint32_t fallback) override { return fallback; }
  Status store_setting(std::string_view, uint32_t) override { return Status::kNotSupported; }
  uint32_t read_port(uint16_t, unsigned) override { return ~0u; }
  void write_port(uint16_t, unsigned, uint32_t) override {}
  void fail(const char*, int, const char*) override { std::abort(); }

  /// The `fail_in`-th thing asked for from now on is not to be had.
  bool fails() { return fail_in != 0 && --fail_in == 0; }
  void fire_timers() {
    for (FakeTimer& timer : timers) timer.fire();
  }

  int blocks = 0;
  int pages = 0;
  int event_references = 0;
  unsigned fail_in = 0;
  platform::Frame last_frame = 0;
  std::deque<FakeTimer> timers;
  std::deque<FakeWork> works;

 protected:
  ~FakePlatform() = default;
};

}  // namespace ringside
