#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>

#include "protocols/platform/platform_fuzz.hpp"
#include "protocols/xenbus/interfaces/foreign_grants.hpp"
#include "protocols/xenbus/interfaces/services.hpp"
#include "protocols/xeniface/abi.hpp"

// What the XENIFACE fuzz target stands on.

namespace ringside {

inline constexpr uint32_t kReferences = 256;

class World final : public FakePlatform,
                    public xenbus::Grants,
                    public xenbus::ForeignGrants,
                    public xenbus::Events,
                    public xenbus::Store {
 public:
  void release_page(platform::Page page) override {
    for (const Grant& one : grants) CHECK(one.frame != page.frame || (!one.live && !one.mapped));
    FakePlatform::release_page(page);
  }

  // --- grants -----------------------------------------------------------------------------
  struct Grant {
    platform::Frame frame = 0;
    platform::Page parked;
    bool taken = false, live = false, mapped = false;
  };
  struct Cache final : xenbus::GrantCache {
    explicit Cache(World& owner) : world(owner) { ++world.caches; }
    Result<xenbus::GrantRef> permit(xenbus::DomainId, platform::Frame frame,
                                    xenbus::Access) override {
      if (world.fails()) return Status::kNotSupported;
      for (uint32_t ref = 32; ref < kReferences; ++ref) {
        if (std::exchange(world.grants[ref].taken, true)) continue;
        world.grants[ref].frame = frame;
        world.grants[ref].live = true;
        return uint32_t{ref};
      }
      return Status::kNoResources;
    }
    Status revoke(xenbus::GrantRef ref) override {
      Grant& one = world.grants.at(ref);
      CHECK(one.live);
      if (one.mapped) return Status::kBusy;
      one = {};
      return Status::kOk;
    }
    void park(xenbus::GrantRef ref, platform::Page page) override {
      world.grants.at(ref).parked = page;
    }
    void destroy() override {
      --world.caches;
      delete this;
    }
    World& world;
  };
  Result<Owned<xenbus::GrantCache>> create_cache(const char*, uint32_t reserve,
                                                 uint32_t limit) override {
    if (reserve > limit || reserve > kReferences - 32) return Status::kInvalidArgument;
    if (fails()) return Status::kNoMemory;
    return Owned<xenbus::GrantCache>(new Cache(*this));
  }
  /// The peer lets go, and the bus then frees what was parked.
  void unmap(Grant& one) {
    one.mapped = false;
    if (!one.parked) return;
    one.live = false;
    release_page(one.parked);
    one = {};
  }

  // --- foreign grants ---------------------------------------------------------------------
  struct FakeMap final : xenbus::ForeignMap {
    uint32_t count() const override { return static_cast<uint32_t>(pages.size()); }
    std::byte* page(uint32_t index) const override { return pages.at(index).address; }
    void destroy() override {
      for (const platform::Page& one : pages) world->release_page(one);
      delete this;
    }
    World* world = nullptr;
    std::vector<platform::Page> pages;
  };
  Result<Owned<xenbus::ForeignMap>> map(xenbus::DomainId, std::span<const xenbus::GrantRef> refs,
                                        xenbus::Access) override {
    CHECK(!refs.empty() && refs.size() <= xenbus::kMaxForeignPages);
    auto* const one = new FakeMap;
    one->world = this;
    Owned<xenbus::ForeignMap> owned(one);
    for (size_t i = 0; i < refs.size(); ++i) {
      const auto page = allocate_page();
      if (!page) return Status::kIoError;
      one->pages.push_back(*page);
    }
    return owned;
  }

  // --- events -----------------------------------------------------------------------------
  struct FakeChannel final : xenbus::EventChannel {
    xenbus::Port port() const override { return number; }
    void notify() override {}
    void set_auto_mask(bool) override {}
    void mask() override {}
    bool unmask() override { return false; }
    void found_nothing() override {}
    void trigger() override {}
    Status bind(unsigned) override { return Status::kNotSupported; }
    uint32_t count() const override { return 0; }
    Status wait(uint32_t, platform::Nanoseconds) override { return Status::kTimedOut; }
    void destroy() override { world->channels.erase(number); }
    World* world = nullptr;
    xenbus::Port number = 0;
    Delegate handler;
  };
  Result<Owned<xenbus::EventChannel>> open_unbound(xenbus::DomainId, Delegate handler,
                                                   unsigned) override {
    if (fails()) return Status::kNoResources;
    xenbus::Port port = 1;
    while (channels.contains(port)) ++port;
    FakeChannel& one = channels[port];
    one.world = this;
    one.number = port;
    one.handler = handler;
    handler();
    return Owned<xenbus::EventChannel>(&one);
  }
  Result<Owned<xenbus::EventChannel>> open_interdomain(xenbus::DomainId peer, xenbus::Port port,
                                                       Delegate handler, unsigned cpu) override {
    return port == 0 ? Status::kInvalidArgument : open_unbound(peer, handler, cpu);
  }

  Result<Owned<xenbus::EventChannel>> open_virq(uint32_t, Delegate, unsigned) override {
    return Status::kNotSupported;
  }
  unsigned cpus() const override { return 1; }

  // --- store ------------------------------------------------------------------------------
  struct FakeWatch final : xenbus::Watch {
    void destroy() override { world->watches.erase(this); }
    World* world = nullptr;
    Delegate changed;
  };
  Result<platform::Buffer> read(xenbus::Transaction, std::string_view path) override {
    check_text(path);
    return platform::Buffer::copy(*this, {reinterpret_cast<char*>(value.data()), value_length});
  }
  Status write(xenbus::Transaction, std::string_view path, std::string_view text) override {
    check_text(path);
    check_text(text);
    return Status::kOk;
  }
  Status make_directory(xenbus::Transaction, std::string_view) override { return Status::kOk; }
  Status remove(xenbus::Transaction, std::string_view path) override {
    check_text(path);
    return Status::kNotFound;
  }
  Result<xenbus::Listing> directory(xenbus::Transaction none, std::string_view path) override {
    auto names = read(none, path);
    if (!names) return names.status();
    return xenbus::Listing(*std::move(names));
  }
  Status set_permissions(xenbus::Transaction, std::string_view path,
                         std::span<const xenbus::Permission> permissions) override {
    check_text(path);
    CHECK(!permissions.empty() && permissions.size() <= xeniface::kMaxPermissions);
    return Status::kOk;
  }
  Result<xenbus::Transaction> begin() override { return Status::kNotSupported; }
  Status commit(xenbus::Transaction) override { return Status::kNotSupported; }
  void abort(xenbus::Transaction) override {}
  Result<Owned<xenbus::Watch>> watch(std::string_view path, Delegate changed) override {
    check_text(path);
    if (fails()) return Status::kNoResources;
    auto one = std::make_unique<FakeWatch>();
    one->world = this;
    one->changed = changed;
    changed();
    FakeWatch* const raw = one.get();
    watches[raw] = std::move(one);
    return Owned<xenbus::Watch>(raw);
  }
  static void check_text(std::string_view text) {
    for (const char c : text) CHECK(c >= 0x20 && c <= 0x7e);
  }


  int caches = 0, mappings = 0;
  std::array<Grant, kReferences> grants;
  std::map<xenbus::Port, FakeChannel> channels;
  std::map<FakeWatch*, std::unique_ptr<FakeWatch>> watches;
  std::array<uint8_t, 64> value{};
  size_t value_length = 0;
};

}  // namespace ringside
