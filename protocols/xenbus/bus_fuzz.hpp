#pragma once

#include <sanitizer/asan_interface.h>

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "protocols/platform/platform_fuzz.hpp"
#include "protocols/xenbus/interfaces/services.hpp"

namespace ringside {

/// Grants, channels and the few nodes that a queue publishes.
class FakeBus final : public FakePlatform,
                      public xenbus::Grants,
                      public xenbus::Events,
                      public xenbus::Store {
 public:
  struct Grant {
    platform::Frame frame = 0;
    xenbus::Access access = xenbus::Access::kReadOnly;
    bool live = false, mapped = false, parked = false;
    platform::Page page;  ///< parked with it, or none
  };
  struct Cache final : xenbus::GrantCache {
    explicit Cache(FakeBus& owner) : world(owner) {}
    Result<xenbus::GrantRef> permit(xenbus::DomainId, platform::Frame frame,
                                    xenbus::Access access) override {
      if (world.fails()) return Status::kNoResources;
      if (world.free.empty()) {
        world.free.push_back(static_cast<uint32_t>(world.grants.size()));
        world.grants.emplace_back();
      }
      const uint32_t ref = world.free.back();
      world.free.pop_back();
      world.grants[ref] = {.frame = frame, .access = access, .live = true, .page = {}};
      ++world.granted[frame];
      return uint32_t{ref};
    }
    Status revoke(xenbus::GrantRef ref) override {
      CHECK(world.grants.at(ref).live);
      if (world.grants[ref].mapped) return Status::kBusy;
      world.end(ref);
      return Status::kOk;
    }
    void park(xenbus::GrantRef ref, platform::Page page) override {
      CHECK(world.grants.at(ref).mapped);
      world.grants[ref].parked = true;
      world.grants[ref].page = page;
    }
    void destroy() override { delete this; }
    FakeBus& world;
  };
  struct Channel final : xenbus::EventChannel {
    xenbus::Port port() const override { return 1; }
    void notify() override {}
    void set_auto_mask(bool) override {}
    void mask() override {}
    bool unmask() override { return false; }
    void found_nothing() override {}
    void trigger() override {}
    Status bind(unsigned) override { return Status::kNotSupported; }
    uint32_t count() const override { return 0; }
    Status wait(uint32_t, platform::Nanoseconds) override { return Status::kTimedOut; }
    void destroy() override { std::erase(world->channels, this), delete this; }
    FakeBus* world = nullptr;
    Delegate handler;
  };

  void end(uint32_t ref) {
    --granted[grants[ref].frame];
    grants[ref] = {};
    free.push_back(ref);
  }
  void let_go() {
    for (uint32_t ref = 0; ref < grants.size(); ++ref) {
      grants[ref].mapped = false;
      if (!grants[ref].parked) continue;
      if (grants[ref].page) release_page(grants[ref].page);
      end(ref);
    }
  }
  // Six hundred pages go with each connection: they are kept, and out of bounds meanwhile.
  Result<platform::Page> allocate_page() override {
    if (fails()) return Status::kNoMemory;
    if (stock.empty()) stock.push_back(static_cast<std::byte*>(std::aligned_alloc(4096, 4096)));
    std::byte* address = stock.back();
    stock.pop_back();
    ASAN_UNPOISON_MEMORY_REGION(address, 4096);
    std::memset(address, 0, 4096);
    ++pages;
    at[++last_frame] = address;
    return platform::Page{address, platform::Frame{last_frame}};
  }
  void release_page(platform::Page page) override {
    CHECK(at.erase(page.frame) == 1);
    ASAN_POISON_MEMORY_REGION(page.address, 4096);
    stock.push_back(page.address);
    --pages;
  }

  Result<platform::PageRange> allocate_pages(unsigned count) override {
    if (fails()) return Status::kNoMemory;
    auto* address = static_cast<std::byte*>(std::aligned_alloc(4096, count * size_t{4096}));
    std::memset(address, 0, count * size_t{4096});
    platform::PageRange range{address, count, {}};
    for (unsigned i = 0; i < count; ++i) {
      at[++last_frame] = address + i * size_t{4096};
      range.frames[i] = last_frame;
    }
    pages += static_cast<int>(count);
    return range;
  }
  void release_pages(const platform::PageRange& range) override {
    for (unsigned i = 0; i < range.count; ++i) CHECK(at.erase(range.frames[i]) == 1);
    std::free(range.address);
    pages -= static_cast<int>(range.count);
  }

  Result<Owned<xenbus::GrantCache>> create_cache(const char*, uint32_t, uint32_t) override {
    if (fails()) return Status::kNoMemory;
    return Owned<xenbus::GrantCache>(new Cache(*this));
  }
  Result<Owned<xenbus::EventChannel>> open_unbound(xenbus::DomainId, Delegate handler,
                                                   unsigned) override {
    if (fails()) return Status::kNoResources;
    auto* channel = new Channel;
    channel->world = this;
    channel->handler = handler;
    channels.push_back(channel);
    return Owned<xenbus::EventChannel>(channel);
  }
  Result<Owned<xenbus::EventChannel>> open_interdomain(xenbus::DomainId, xenbus::Port, Delegate,
                                                       unsigned) override {
    return Status::kNotSupported;
  }
  Result<Owned<xenbus::EventChannel>> open_virq(uint32_t, Delegate, unsigned) override {
    return Status::kNotSupported;
  }
  unsigned cpus() const override { return 1; }

  Result<platform::Buffer> read(xenbus::Transaction, std::string_view) override {
    return Status::kNotFound;
  }
  Status write(xenbus::Transaction, std::string_view path, std::string_view value) override {
    nodes[std::string(path)] = static_cast<uint32_t>(std::stoul(std::string(value)));
    return Status::kOk;
  }
  Status make_directory(xenbus::Transaction, std::string_view) override { return Status::kOk; }
  Status remove(xenbus::Transaction, std::string_view) override { return Status::kOk; }
  Result<xenbus::Listing> directory(xenbus::Transaction, std::string_view) override {
    return Status::kNotFound;
  }
  Status set_permissions(xenbus::Transaction, std::string_view,
                         std::span<const xenbus::Permission>) override {
    return Status::kOk;
  }
  Result<xenbus::Transaction> begin() override { return xenbus::Transaction{}; }
  Status commit(xenbus::Transaction) override { return Status::kOk; }
  void abort(xenbus::Transaction) override {}
  Result<Owned<xenbus::Watch>> watch(std::string_view, Delegate) override {
    return Status::kNotSupported;
  }

  /// What the peer maps by `ref`.
  std::byte* granted_page(xenbus::GrantRef ref) {
    CHECK(ref < grants.size() && grants[ref].live);
    return at.at(grants[ref].frame);
  }
  /// The peer maps some granted page, or lets go of it.
  void hold(size_t number, bool mapped) {
    const size_t ref = 32 + number % (grants.size() - 31);
    if (ref < grants.size() && grants[ref].live) grants[ref].mapped = mapped;
  }

  static inline std::vector<std::byte*>& stock = *new std::vector<std::byte*>;  // never freed
  std::vector<Grant> grants{32};
  std::vector<uint32_t> free;
  std::unordered_map<platform::Frame, int> granted;
  std::unordered_map<platform::Frame, std::byte*> at;
  std::map<std::string, uint32_t> nodes;
  std::vector<Channel*> channels;
};

}  // namespace ringside
