#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocols/platform/delegate.hpp"
#include "protocols/platform/owned.hpp"
#include "protocols/platform/status.hpp"

/// The platform seam: all that the drivers need from a world, and nothing more.
///
/// Implemented by the simulation (deterministic and threaded) and by NT. Two levels of
/// execution exist, as in a kernel: *passive* code (work items, the caller of a driver's
/// interface) may wait; *dispatch* code (event channel handlers, timers) may not. A CPU
/// runs dispatch code to completion, also while passive code on it waits.
namespace ringside::platform {

using Frame = uint64_t;        ///< guest frame number (gfn), in units of kPageSize
using Nanoseconds = uint64_t;  ///< since an arbitrary start; never goes back

inline constexpr size_t kPageSize = 4096;
inline constexpr unsigned kMaxRangePages = 16;
inline constexpr Nanoseconds kForever = ~Nanoseconds{0};
inline constexpr Nanoseconds kMillisecond = 1'000'000;
inline constexpr Nanoseconds kSecond = 1'000'000'000;

/// One page that can be granted: where this driver sees it and how Xen names it.
struct Page {
  std::byte* address = nullptr;
  Frame frame = 0;
  explicit operator bool() const { return address != nullptr; }
};

/// Pages that are contiguous in virtual memory and may not be in the guest's frames.
struct PageRange {
  std::byte* address = nullptr;
  unsigned count = 0;
  std::array<Frame, kMaxRangePages> frames{};

  std::span<std::byte> bytes() const { return {address, count * kPageSize}; }
};

/// Set by signal(), stays set until reset(). Any level, any CPU.
class Event {
 public:
  virtual void signal() = 0;
  virtual void reset() = 0;
  virtual void destroy() = 0;

 protected:
  ~Event() = default;
};

/// A spin lock: raises to dispatch level while held. Never held across a wait.
class Lock {
 public:
  virtual void acquire() = 0;
  virtual void release() = 0;
  virtual void destroy() = 0;

 protected:
  ~Lock() = default;
};

class [[nodiscard]] LockGuard {
 public:
  explicit LockGuard(Lock& lock) : lock_(lock) { lock_.acquire(); }
  ~LockGuard() { lock_.release(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Lock& lock_;
};

/// Runs its delegate once at dispatch level when the deadline has passed.
class Timer {
 public:
  virtual void start(Nanoseconds deadline) = 0;
  /// After return the delegate does not run, and is not running on another CPU.
  virtual void cancel() = 0;
  virtual void destroy() = 0;

 protected:
  ~Timer() = default;
};

/// Deferred passive-level work on one CPU. Queued twice before it starts, it runs once.
class Work {
 public:
  virtual void queue() = 0;
  /// After return the delegate does not run, and is not running on another CPU.
  virtual void cancel() = 0;
  virtual void destroy() = 0;

 protected:
  ~Work() = default;
};

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

class Platform {
 public:
  // --- memory ---------------------------------------------------------------------------
  /// Uninitialised, aligned to 64 bytes; nullptr when there is none.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* memory) = 0;
  /// Zeroed. kNoMemory when there is none.
  virtual Result<Page> allocate_page() = 0;
  virtual void release_page(Page page) = 0;
  /// Zeroed; `count` in 1..kMaxRangePages.
  virtual Result<PageRange> allocate_pages(unsigned count) = 0;
  virtual void release_pages(const PageRange& pages) = 0;
  /// Guest frame numbers without memory behind them, where Xen can place its own frames
  /// (XENMEM_add_to_physmap). Returns the first of `count` consecutive ones.
  virtual Result<Frame> reserve_frames(unsigned count) = 0;
  virtual void release_frames(Frame first, unsigned count) = 0;
  /// Makes a frame that Xen populated (or an HVM parameter named) addressable.
  virtual Result<std::byte*> map_frame(Frame frame) = 0;
  virtual void unmap_frame(std::byte* address) = 0;
  /// Takes pages that nobody uses out of the guest's memory, for Xen to have: their numbers into
  /// `frames`, and how many, which may be fewer. kNotSupported where there is no such thing.
  virtual Result<unsigned> take_frames(std::span<Frame> frames) {
    (void)frames;
    return Status::kNotSupported;
  }
  /// Makes such pages part of the guest's memory again; there is memory behind each.
  virtual void give_frames(std::span<const Frame> frames) { (void)frames; }
  /// So little memory is left that none should be taken.
  virtual bool low_on_memory() { return false; }

  // --- time and execution ---------------------------------------------------------------
  virtual Nanoseconds now() = 0;
  /// The time stamp counter of this CPU, whose rate Xen tells in shared info. Any level.
  virtual uint64_t tsc() = 0;
  /// Waits at passive level until `event` is set: kOk, or kTimedOut once now() >= deadline.
  virtual Status wait_until(Event& event, Nanoseconds deadline) = 0;
  /// A polite pause inside a bounded retry loop, any level (SCHEDOP_yield).
  virtual void yield() = 0;
  virtual unsigned cpu() = 0;
  virtual unsigned cpu_count() = 0;
  virtual Result<Owned<Event>> create_event() = 0;
  virtual Result<Owned<Lock>> create_lock() = 0;
  virtual Result<Owned<Timer>> create_timer(Delegate expired, unsigned cpu) = 0;
  virtual Result<Owned<Work>> create_work(Delegate run, unsigned cpu) = 0;
  /// Where Xen's event upcall of `cpu` goes, at dispatch level. An empty one disconnects.
  virtual void set_upcall(unsigned cpu, Delegate upcall) = 0;
  /// The interrupt vector behind set_upcall() of `cpu`, and the line (GSI) behind that of CPU 0,
  /// for Xen to be told; 0 where there is none.
  virtual uint8_t upcall_vector(unsigned cpu) = 0;
  virtual uint32_t upcall_line() = 0;
  /// From passive level: runs `body` at dispatch level while every other CPU is held outside
  /// of dispatch code and no upcall or timer runs on any. kNotSupported, and nothing was run,
  /// where CPUs can't be held.
  virtual Status run_alone(Delegate body) {
    (void)body;
    return Status::kNotSupported;
  }

  // --- the emulated hardware ------------------------------------------------------------
  /// One access of 1, 2 or 4 bytes to an I/O port; what nobody answers reads as all ones.
  virtual uint32_t read_port(uint16_t port, unsigned bytes) = 0;
  virtual void write_port(uint16_t port, unsigned bytes, uint32_t value) = 0;

  // --- the rest -------------------------------------------------------------------------
  virtual uint64_t random() = 0;
  virtual void log(LogLevel level, std::string_view line) = 0;
  /// A driver setting (registry parameter), or `fallback` when it is not set.
  virtual uint32_t setting(std::string_view name, uint32_t fallback) = 0;
  /// Changes a setting so that it is found also after a reboot. Passive level.
  virtual Status store_setting(std::string_view name, uint32_t value) = 0;
  /// A broken invariant of our own: reports it and does not return.
  [[noreturn]] virtual void fail(const char* file, int line, const char* condition) = 0;

 protected:
  ~Platform() = default;
};

}  // namespace ringside::platform

/// For what can only be false through a fault in this code, never through a peer's doing.
#define RINGSIDE_ASSERT(platform, condition) \
  (static_cast<bool>(condition) ? void(0) : (platform).fail(__FILE__, __LINE__, #condition))
