#pragma once

#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "conformance/stepped/interleaver.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/hypercall.hpp"
#include "protocols/xenbus/hypercalls.hpp"
#include "sim/machine/machine.hpp"

namespace ringside::conformance {

/// A guest whose CPUs are threads of an Interleaver: an upcall interrupts the thread of its CPU
/// between any two accesses, but for when that holds a lock or is in Xen.
class ModelPlatform final : public platform::Platform, public xenbus::Hypercall {
 public:
  ModelPlatform(unsigned cpus, bool fifo)
      : world_(sim::World::deterministic(1)),
        machine_(*world_, {.frames = 256, .fifo_events = fifo}),
        domain_(machine_.create_domain({.vcpus = cpus, .max_pages = 64})),
        cpus_(cpus) {}

  sim::Machine& machine() { return machine_; }
  sim::Domain& domain() { return domain_; }
  void add_thread(const std::string& name, unsigned cpu) { cpu_of_[name] = cpu; }
  bool interrupted(unsigned cpu) const { return cpus_[cpu].in_upcall; }
  bool upcall_due(unsigned cpu) const {
    return cpus_[cpu].deaf == 0 && domain_.vcpu_info(cpu).evtchn_upcall_pending != 0;
  }
  void take_upcall(unsigned cpu) {
    cpus_[cpu].in_upcall = true;
    cpus_[cpu].upcall();
    cpus_[cpu].in_upcall = false;
  }

  int64_t call(unsigned number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
               uint64_t a5) override {
    const unsigned on = cpu();
    ++cpus_[on].deaf;
    const int64_t result = machine_.hypercall(domain_, on, number, a1, a2, a3, a4, a5);
    --cpus_[on].deaf;
    return result;
  }

  void* allocate(size_t bytes) override { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); }
  void release(void* memory) override { std::free(memory); }
  Result<platform::Page> allocate_page() override {
    const std::vector<uint64_t> gfns = domain_.allocate_pages();
    if (gfns.empty()) return Status::kNoMemory;
    return platform::Page{.address = domain_.page_address(gfns[0]), .frame = gfns[0]};
  }
  void release_page(platform::Page page) override {
    const uint64_t gfn = page.frame;
    domain_.release_pages({&gfn, 1});
  }
  Result<platform::PageRange> allocate_pages(unsigned) override { return Status::kNoMemory; }
  void release_pages(const platform::PageRange&) override {}
  Result<platform::Frame> reserve_frames(unsigned) override { return Status::kNoResources; }
  void release_frames(platform::Frame, unsigned) override {}
  Result<std::byte*> map_frame(platform::Frame) override { return Status::kNoResources; }
  void unmap_frame(std::byte*) override {}
  platform::Nanoseconds now() override { return 0; }
  uint64_t tsc() override { return 0; }
  Status wait_until(platform::Event&, platform::Nanoseconds) override { return Status::kTimedOut; }
  void yield() override {}
  unsigned cpu() override {
    const Interleaver* steps = Interleaver::current();
    return steps == nullptr ? 0 : cpu_of_.at(steps->self());
  }
  unsigned cpu_count() override { return static_cast<unsigned>(cpus_.size()); }
  Result<Owned<platform::Event>> create_event() override {
    return Owned<platform::Event>(new Signal);
  }
  Result<Owned<platform::Lock>> create_lock() override {
    return Owned<platform::Lock>(new SpinLock(*this));
  }
  Result<Owned<platform::Timer>> create_timer(Delegate, unsigned) override {
    return Owned<platform::Timer>(new Alarm);
  }
  Result<Owned<platform::Work>> create_work(Delegate, unsigned) override {
    return Status::kNotSupported;
  }
  void set_upcall(unsigned cpu, Delegate upcall) override { cpus_[cpu].upcall = upcall; }
  uint8_t upcall_vector(unsigned) override { return 0x80; }
  uint32_t upcall_line() override { return 0; }
  uint64_t random() override { return 4; }
  void log(platform::LogLevel, std::string_view) override {}
  uint32_t setting(std::string_view, uint32_t fallback) override { return fallback; }
  Status store_setting(std::string_view, uint32_t) override { return Status::kNotSupported; }
  uint32_t read_port(uint16_t, unsigned) override { return ~0u; }
  void write_port(uint16_t, unsigned, uint32_t) override {}
  [[noreturn]] void fail(const char*, int, const char*) override { std::abort(); }

 private:
  struct Cpu {
    Delegate upcall;
    bool in_upcall = false;
    unsigned deaf = 0;  ///< reasons not to interrupt it
  };
  struct Signal final : platform::Event {
    void signal() override {}
    void reset() override {}
    void destroy() override { delete this; }
  };
  /// Never rings: nothing here takes that long.
  struct Alarm final : platform::Timer {
    void start(platform::Nanoseconds) override {}
    void cancel() override {}
    void destroy() override { delete this; }
  };
  class SpinLock final : public platform::Lock {
   public:
    explicit SpinLock(ModelPlatform& platform) : platform_(platform) {}
    void acquire() override {
      ++platform_.cpus_[platform_.cpu()].deaf;
      Interleaver* steps = Interleaver::current();
      if (steps == nullptr) return;
      steps->access(this, Interleaver::Access::kWrite);
      while (held_) steps->block([this] { return !held_; });
      held_ = true;
    }
    void release() override {
      held_ = false;
      --platform_.cpus_[platform_.cpu()].deaf;
    }
    void destroy() override { delete this; }

   private:
    ModelPlatform& platform_;
    bool held_ = false;
  };

  std::unique_ptr<sim::World> world_;
  sim::Machine machine_;
  sim::Domain& domain_;
  std::map<std::string, unsigned> cpu_of_;
  std::vector<Cpu> cpus_;
};

}  // namespace ringside::conformance
