#pragma once

#include <cstdlib>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "protocols/xenbus/interfaces/services.hpp"

namespace ringside::conformance {

/// A platform without a world: memory, a clock that stands still, timers fired by the test.
class FakePlatform final : public platform::Platform {
 public:
  struct FakeTimer final : platform::Timer {
    Delegate expired;
    bool armed = false;
    void start(platform::Nanoseconds) override { armed = true; }
    void cancel() override { armed = false; }
    void destroy() override { armed = false; }
  };
  struct FakeEvent final : platform::Event {
    void signal() override {}
    void reset() override {}
    void destroy() override { delete this; }
  };

  struct FakeLock final : platform::Lock {
    void acquire() override {}
    void release() override {}
    void destroy() override { delete this; }
  };

  ~FakePlatform() {
    for (FakeTimer* timer : timers_) delete timer;
  }
  /// Fires every armed timer once.
  void expire_timers() {
    for (FakeTimer* timer : timers_) {
      if (std::exchange(timer->armed, false)) timer->expired();
    }
  }
  bool timer_armed() const {
    for (const FakeTimer* timer : timers_) {
      if (timer->armed) return true;
    }
    return false;
  }
  const platform::PageRange& last_range() const { return last_range_; }
  size_t pages_in_use() const { return pages_; }
  std::map<std::string, uint32_t, std::less<>> settings;
  size_t page_limit = ~size_t{0};

  void* allocate(size_t bytes) override { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); }
  void release(void* memory) override { std::free(memory); }
  Result<platform::Page> allocate_page() override {
    if (pages_ >= page_limit) return Status::kNoMemory;
    std::byte* memory = pages(1);
    return platform::Page{memory, frame_of(memory)};
  }
  void release_page(platform::Page page) override {
    --pages_;
    std::free(page.address);
  }
  Result<platform::PageRange> allocate_pages(unsigned count) override {
    platform::PageRange range{pages(count), count, {}};
    for (unsigned i = 0; i < count; ++i) {
      range.frames[i] = frame_of(range.address + i * platform::kPageSize);
    }
    last_range_ = range;
    return range;
  }
  void release_pages(const platform::PageRange& range) override {
    pages_ -= range.count;
    std::free(range.address);
  }
  Result<platform::Frame> reserve_frames(unsigned) override { return Status::kNoResources; }
  void release_frames(platform::Frame, unsigned) override {}
  Result<std::byte*> map_frame(platform::Frame) override { return Status::kNotFound; }
  void unmap_frame(std::byte*) override {}
  uint64_t tsc() override { return 0; }
  platform::Nanoseconds now() override { return 0; }
  Status wait_until(platform::Event&, platform::Nanoseconds) override { return Status::kTimedOut; }
  void yield() override {}
  unsigned cpu() override { return 0; }
  unsigned cpu_count() override { return 1; }
  Result<Owned<platform::Event>> create_event() override {
    return Owned<platform::Event>(new FakeEvent);
  }
  Result<Owned<platform::Lock>> create_lock() override {
    return Owned<platform::Lock>(new FakeLock);
  }
  Result<Owned<platform::Timer>> create_timer(Delegate expired, unsigned) override {
    auto* timer = new FakeTimer;
    timer->expired = expired;
    timers_.push_back(timer);
    return Owned<platform::Timer>(timer);
  }
  Result<Owned<platform::Work>> create_work(Delegate, unsigned) override {
    return Status::kNotSupported;
  }
  void set_upcall(unsigned, Delegate) override {}
  uint8_t upcall_vector(unsigned) override { return 0; }
  uint32_t upcall_line() override { return 0; }
  uint64_t random() override { return 4; }
  void log(platform::LogLevel, std::string_view) override {}
  uint32_t setting(std::string_view name, uint32_t fallback) override {
    const auto found = settings.find(name);
    return found == settings.end() ? fallback : found->second;
  }
  Status store_setting(std::string_view, uint32_t) override { return Status::kNotSupported; }
  uint32_t read_port(uint16_t, unsigned) override { return ~0u; }
  void write_port(uint16_t, unsigned, uint32_t) override {}
  [[noreturn]] void fail(const char* file, int line, const char* condition) override {
    throw std::logic_error(std::string(file) + ":" + std::to_string(line) + ": " + condition);
  }

 private:
  static platform::Frame frame_of(const std::byte* memory) {
    return reinterpret_cast<uintptr_t>(memory) / platform::kPageSize;
  }
  std::byte* pages(unsigned count) {
    void* memory = std::aligned_alloc(platform::kPageSize, count * platform::kPageSize);
    std::memset(memory, 0, count * platform::kPageSize);
    pages_ += count;
    return static_cast<std::byte*>(memory);
  }

  std::vector<FakeTimer*> timers_;
  platform::PageRange last_range_;
  size_t pages_ = 0;
};

/// Grants that the test can look up as the peer would, and refuse to let go of.
class FakeGrants final : public xenbus::Grants {
 public:
  struct Grant {
    platform::Frame frame;
    xenbus::Access access;
  };

  explicit FakeGrants(FakePlatform& platform) : platform_(platform) {}

  /// What the peer sees behind `ref`; nullptr when it was not granted.
  std::byte* page(xenbus::GrantRef ref) const {
    const auto found = live_.find(ref);
    if (found == live_.end()) return nullptr;
    return reinterpret_cast<std::byte*>(found->second.frame * platform::kPageSize);
  }
  const Grant* find(xenbus::GrantRef ref) const {
    const auto found = live_.find(ref);
    return found == live_.end() ? nullptr : &found->second;
  }
  /// The peer is granted this frame, by whatever reference.
  bool any_of(platform::Frame frame) const {
    for (const auto& [ref, grant] : live_) {
      if (grant.frame == frame) return true;
    }
    return false;
  }
  size_t live() const { return live_.size(); }
  size_t parked() const { return parked_; }
  size_t revoked() const { return revoked_; }
  std::set<xenbus::GrantRef> held;  ///< the peer maps these: revoking answers kBusy
  uint32_t limit = ~0u;             ///< of live grants

  Result<Owned<xenbus::GrantCache>> create_cache(const char*, uint32_t, uint32_t) override {
    return Owned<xenbus::GrantCache>(new Cache(*this));
  }

 private:
  class Cache final : public xenbus::GrantCache {
   public:
    explicit Cache(FakeGrants& grants) : grants_(grants) {}
    Result<xenbus::GrantRef> permit(xenbus::DomainId, platform::Frame frame,
                                    xenbus::Access access) override {
      if (grants_.live_.size() >= grants_.limit) return Status::kNoResources;
      const xenbus::GrantRef ref = grants_.next_++;
      grants_.live_[ref] = {frame, access};
      return xenbus::GrantRef{ref};
    }
    Status revoke(xenbus::GrantRef ref) override {
      if (!grants_.live_.contains(ref)) throw std::logic_error("revoked what was not granted");
      if (grants_.held.contains(ref)) return Status::kBusy;
      grants_.live_.erase(ref);
      ++grants_.revoked_;
      return Status::kOk;
    }
    void park(xenbus::GrantRef ref, platform::Page page) override {
      grants_.live_.erase(ref);
      ++grants_.parked_;
      grants_.platform_.release_page(page);
    }
    void destroy() override { delete this; }

   private:
    FakeGrants& grants_;
  };

  FakePlatform& platform_;
  std::map<xenbus::GrantRef, Grant> live_;
  xenbus::GrantRef next_ = 8;
  size_t parked_ = 0;
  size_t revoked_ = 0;
};

/// One event channel whose other end is the test.
class FakeEvents final : public xenbus::Events {
 public:
  void deliver() const {
    if (open_) handler_();
  }
  bool open() const { return open_; }
  uint64_t notifications = 0;

  Result<Owned<xenbus::EventChannel>> open_unbound(xenbus::DomainId, Delegate handler,
                                                   unsigned) override {
    handler_ = handler;
    open_ = true;
    return Owned<xenbus::EventChannel>(new Channel(*this));
  }
  Result<Owned<xenbus::EventChannel>> open_interdomain(xenbus::DomainId, xenbus::Port, Delegate,
                                                       unsigned) override {
    return Status::kNotSupported;
  }
  Result<Owned<xenbus::EventChannel>> open_virq(uint32_t, Delegate, unsigned) override {
    return Status::kNotSupported;
  }
  unsigned cpus() const override { return 1; }

 private:
  class Channel final : public xenbus::EventChannel {
   public:
    explicit Channel(FakeEvents& events) : events_(events) {}
    xenbus::Port port() const override { return 5; }
    void notify() override { ++events_.notifications; }
    void set_auto_mask(bool) override {}
    void mask() override {}
    bool unmask() override { return false; }
    void found_nothing() override {}
    void trigger() override {}
    Status bind(unsigned) override { return Status::kNotSupported; }
    uint32_t count() const override { return 0; }
    Status wait(uint32_t, platform::Nanoseconds) override { return Status::kTimedOut; }
    void destroy() override {
      events_.open_ = false;
      delete this;
    }

   private:
    FakeEvents& events_;
  };

  Delegate handler_;
  bool open_ = false;
};

/// A store in a map, without transactions: what is written is there.
class FakeStore final : public xenbus::Store {
 public:
  explicit FakeStore(platform::Platform& platform) : platform_(platform) {}
  std::map<std::string, std::string, std::less<>> nodes;
  std::string unreadable;  ///< the path of which no read succeeds

  Result<platform::Buffer> read(xenbus::Transaction, std::string_view path) override {
    if (path == unreadable) return Status::kNoMemory;
    const auto found = nodes.find(path);
    if (found == nodes.end()) return Status::kNotFound;
    return platform::Buffer::copy(platform_, found->second);
  }
  Status write(xenbus::Transaction, std::string_view path, std::string_view value) override {
    nodes.insert_or_assign(std::string(path), std::string(value));
    return Status::kOk;
  }
  Status make_directory(xenbus::Transaction, std::string_view) override { return Status::kOk; }
  Status remove(xenbus::Transaction, std::string_view path) override {
    const auto found = nodes.find(path);
    if (found == nodes.end()) return Status::kNotFound;
    nodes.erase(found);
    return Status::kOk;
  }
  Result<xenbus::Listing> directory(xenbus::Transaction, std::string_view) override {
    return Status::kNotFound;
  }
  Status set_permissions(xenbus::Transaction, std::string_view,
                         std::span<const xenbus::Permission>) override {
    return Status::kOk;
  }
  Result<xenbus::Transaction> begin() override { return xenbus::Transaction{1}; }
  Status commit(xenbus::Transaction) override { return Status::kOk; }
  void abort(xenbus::Transaction) override {}
  Result<Owned<xenbus::Watch>> watch(std::string_view, Delegate) override {
    return Status::kNotSupported;
  }

 private:
  platform::Platform& platform_;
};

}  // namespace ringside::conformance
