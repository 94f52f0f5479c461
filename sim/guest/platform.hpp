#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "protocols/platform/platform.hpp"
#include "sim/guest/heap.hpp"
#include "sim/guest/objects.hpp"
#include "sim/guest/vcpu.hpp"

namespace ringside::sim {

/// The platform seam over a simulated domain.
class GuestPlatform final : public platform::Platform {
 public:
  GuestPlatform(Machine& machine, Domain& domain);

  void* allocate(size_t bytes) override { return heap_.allocate(bytes); }
  void release(void* memory) override;
  Result<platform::Page> allocate_page() override;
  void release_page(platform::Page page) override;
  Result<platform::PageRange> allocate_pages(unsigned count) override;
  void release_pages(const platform::PageRange& pages) override;
  Result<platform::Frame> reserve_frames(unsigned count) override;
  void release_frames(platform::Frame first, unsigned count) override;
  Result<std::byte*> map_frame(platform::Frame frame) override;
  void unmap_frame(std::byte* address) override;
  Result<unsigned> take_frames(std::span<platform::Frame> frames) override;
  void give_frames(std::span<const platform::Frame> frames) override;
  bool low_on_memory() override;

  platform::Nanoseconds now() override { return world_.now(); }
  uint64_t tsc() override { return domain().machine().config().clock.tsc(world_.now()); }
  Status wait_until(platform::Event& event, platform::Nanoseconds deadline) override;
  void yield() override;
  unsigned cpu() override;
  unsigned cpu_count() override { return static_cast<unsigned>(vcpus_.size()); }
  Result<Owned<platform::Event>> create_event() override;
  Result<Owned<platform::Lock>> create_lock() override;
  Result<Owned<platform::Timer>> create_timer(Delegate expired, unsigned cpu) override;
  Result<Owned<platform::Work>> create_work(Delegate run, unsigned cpu) override;
  void set_upcall(unsigned cpu, Delegate upcall) override;
  uint8_t upcall_vector(unsigned cpu) override;
  uint32_t upcall_line() override;
  Status run_alone(Delegate body) override;

  uint64_t random() override;
  void log(platform::LogLevel level, std::string_view line) override;
  uint32_t setting(std::string_view name, uint32_t fallback) override;
  Status store_setting(std::string_view name, uint32_t value) override;
  uint32_t read_port(uint16_t port, unsigned bytes) override;
  void write_port(uint16_t port, unsigned bytes, uint32_t value) override;
  [[noreturn]] void fail(const char* file, int line, const char* condition) override;

  // --- for Guest ------------------------------------------------------------------------
  Vcpu& vcpu(unsigned cpu) { return *vcpus_[cpu]; }
  Vcpu* current_vcpu();
  Heap& heap() { return heap_; }
  void set_setting(std::string name, uint32_t value);
  void set_low_memory(size_t pages) { low_memory_pages_.store(pages); }
  std::vector<std::string> lines() const;
  void on_log(std::function<void(platform::LogLevel, std::string_view)> listener);
  void stop();
  void move_to(Domain& domain);
  Domain& domain() const { return *domain_.load(); }
  std::vector<std::string> audit() const;

 private:
  Status wait_outside(GuestEvent& event, platform::Nanoseconds deadline);

  World& world_;
  std::atomic<Domain*> domain_;
  Heap heap_;
  ObjectCounts counts_;
  std::vector<std::unique_ptr<Vcpu>> vcpus_;

  std::atomic<size_t> low_memory_pages_ = 256;

  mutable std::mutex mutex_;  // guards the rest
  Random random_;
  std::map<platform::Frame, unsigned> pages_;     // by the first frame, how many
  std::map<platform::Frame, unsigned> reserved_;  // by the first frame, how many
  std::map<std::byte*, unsigned> mapped_;         // how often
  std::map<std::string, uint32_t, std::less<>> settings_;
  std::vector<std::string> lines_;
  std::function<void(platform::LogLevel, std::string_view)> listener_;
};

}  // namespace ringside::sim
