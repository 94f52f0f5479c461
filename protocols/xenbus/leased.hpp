#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "protocols/platform/line.hpp"
#include "protocols/xenbus/bus.hpp"
#include "protocols/xenbus/interfaces/cache.hpp"
#include "protocols/xenbus/interfaces/gnttab.hpp"
#include "protocols/xenbus/interfaces/range_set.hpp"
#include "protocols/xenbus/interfaces/tracked.hpp"
#include "protocols/xenbus/object_cache.hpp"
#include "protocols/xenbus/range_set.hpp"

// The interfaces as one consumer sees them: what it makes through them stands in its roster.

namespace ringside::xenbus {

/// The object, once it is in the roster; nothing when there was no memory for that.
template <typename T>
Result<Owned<T>> enrolled(Roster& roster, Result<Owned<T>> object, std::string_view name) {
  if (!object) return object;
  const Status status = roster.add(**object, name);
  if (!ok(status)) return status;
  return object;
}

class LeasedGnttab final : private Grants, private ForeignGrants {
 public:
  using Interface = Gnttab;
  LeasedGnttab(Bus& bus, Roster& roster) : bus_(bus), roster_(roster) {}
  Gnttab* interface() { return &interface_; }
  uint32_t open_ends() const { return 0; }

 private:
  Result<Owned<GrantCache>> create_cache(const char* name, uint32_t reserve,
                                         uint32_t limit) override {
    return enrolled(roster_, bus_.grants().create_cache(name, reserve, limit),
                    platform::Line().text("the grant cache ").text(name).view());
  }
  Result<Owned<ForeignMap>> map(DomainId peer, std::span<const GrantRef> refs,
                                Access access) override {
    return enrolled(roster_, bus_.foreign().map(peer, refs, access),
                    platform::Line().text("a map of grants of domain ").number(peer).view());
  }

  Bus& bus_;
  Roster& roster_;
  Gnttab interface_{.grants = *this, .foreign = *this};
};

class LeasedEvents final : public Events {
 public:
  using Interface = Events;
  LeasedEvents(Bus& bus, Roster& roster) : bus_(bus), roster_(roster) {}
  Events* interface() { return this; }
  uint32_t open_ends() const { return 0; }

 private:
  Result<Owned<EventChannel>> open_unbound(DomainId peer, Delegate handler, unsigned cpu) override {
    return named(bus_.events().open_unbound(peer, handler, cpu));
  }
  Result<Owned<EventChannel>> open_interdomain(DomainId peer, Port port, Delegate handler,
                                               unsigned cpu) override {
    return named(bus_.events().open_interdomain(peer, port, handler, cpu));
  }
  Result<Owned<EventChannel>> open_virq(uint32_t virq, Delegate handler, unsigned cpu) override {
    return named(bus_.events().open_virq(virq, handler, cpu));
  }
  unsigned cpus() const override { return bus_.events().cpus(); }
  Result<Owned<EventChannel>> named(Result<Owned<EventChannel>> channel) {
    if (!channel) return channel;
    const uint64_t port = (*channel)->port();
    return enrolled(roster_, std::move(channel),
                    platform::Line().text("event channel ").number(port).view());
  }

  Bus& bus_;
  Roster& roster_;
};

class LeasedStore final : public Store {
 public:
  using Interface = Store;
  LeasedStore(Bus& bus, Roster& roster) : store_(bus.store()), roster_(roster) {}
  Store* interface() { return this; }
  uint32_t open_ends() const { return transactions_.load(); }

 private:
  Result<platform::Buffer> read(Transaction transaction, std::string_view path) override {
    return store_.read(transaction, path);
  }
  Status write(Transaction transaction, std::string_view path, std::string_view value) override {
    return store_.write(transaction, path, value);
  }
  Status make_directory(Transaction transaction, std::string_view path) override {
    return store_.make_directory(transaction, path);
  }
  Status remove(Transaction transaction, std::string_view path) override {
    return store_.remove(transaction, path);
  }
  Result<Listing> directory(Transaction transaction, std::string_view path) override {
    return store_.directory(transaction, path);
  }
  Status set_permissions(Transaction transaction, std::string_view path,
                         std::span<const Permission> permissions) override {
    return store_.set_permissions(transaction, path, permissions);
  }
  Result<Transaction> begin() override {
    auto transaction = store_.begin();
    if (transaction) ++transactions_;
    return transaction;
  }
  Status commit(Transaction transaction) override {
    --transactions_;
    return store_.commit(transaction);
  }
  void abort(Transaction transaction) override {
    --transactions_;
    store_.abort(transaction);
  }
  Result<Owned<Watch>> watch(std::string_view path, Delegate changed) override {
    return enrolled(roster_, store_.watch(path, changed),
                    platform::Line().text("a watch on ").text(path).view());
  }

  StoreClient& store_;
  Roster& roster_;
  std::atomic<uint32_t> transactions_ = 0;
};

class LeasedSuspend final : public Suspend {
 public:
  using Interface = Suspend;
  LeasedSuspend(Bus& bus, Roster& roster) : suspend_(bus.suspend()), roster_(roster) {}
  Suspend* interface() { return this; }
  uint32_t open_ends() const { return 0; }

 private:
  Result<Owned<SuspendCallback>> add(SuspendPhase phase, Delegate callback) override {
    const bool early = phase == SuspendPhase::kEarly;
    return enrolled(roster_, suspend_.add(phase, callback),
                    early ? "an EARLY callback" : "a LATE callback");
  }
  Result<SuspendOutcome> trigger() override { return suspend_.trigger(); }
  uint32_t count() const override { return suspend_.count(); }
  bool busy() const override { return suspend_.busy(); }

  Suspend& suspend_;
  Roster& roster_;
};

class LeasedCaches final : public Caches {
 public:
  using Interface = Caches;
  LeasedCaches(Bus& bus, Roster& roster) : platform_(bus.platform()), roster_(roster) {}
  Caches* interface() { return this; }
  uint32_t open_ends() const { return 0; }

 private:
  Result<Owned<Cache>> create(const CacheConfig& config) override {
    return enrolled(roster_, ObjectCache::create(platform_, config),
                    platform::Line().text("the cache ").text(config.name).view());
  }

  platform::Platform& platform_;
  Roster& roster_;
};

class LeasedRangeSets final : public RangeSets {
 public:
  using Interface = RangeSets;
  LeasedRangeSets(Bus& bus, Roster& roster) : platform_(bus.platform()), roster_(roster) {}
  RangeSets* interface() { return this; }
  uint32_t open_ends() const { return 0; }

 private:
  Result<Owned<Ranges>> create(const char* name) override {
    return enrolled(roster_, RangeSet::create(platform_),
                    platform::Line().text("the range set ").text(name).view());
  }

  platform::Platform& platform_;
  Roster& roster_;
};

class LeasedUnplug final : public Unplug {
 public:
  using Interface = Unplug;
  LeasedUnplug(Bus& bus, Roster&) : unplug_(bus.unplug()) {}
  Unplug* interface() { return this; }
  uint32_t open_ends() const { return 0; }

 private:
  Status request(EmulatedKind kind, bool make) override { return unplug_.request(kind, make); }
  bool requested(EmulatedKind kind) override { return unplug_.requested(kind); }
  bool boot_emulated() override { return unplug_.boot_emulated(); }
  Status request_reboot() override { return unplug_.request_reboot(); }

  Unplug& unplug_;
};

class LeasedSharedInfo final : public SharedInfo {
 public:
  using Interface = SharedInfo;
  LeasedSharedInfo(Bus& bus, Roster&) : bus_(bus) {}
  SharedInfo* interface() { return this; }
  uint32_t open_ends() const { return 0; }

 private:
  Result<WallClock> time() override { return bus_.shared_info().time(); }
  bool upcall_supported(unsigned cpu) const override { return cpu < bus_.events().cpus(); }
  bool upcall_pending(unsigned cpu) const override {
    return bus_.shared_info().upcall_pending(cpu);
  }

  Bus& bus_;
};

class LeasedConsole final : public Console {
 public:
  using Interface = Console;
  LeasedConsole(Bus& bus, Roster& roster) : console_(bus.console()), roster_(roster) {}
  Console* interface() { return this; }
  uint32_t open_ends() const { return 0; }

 private:
  Result<size_t> readable() override { return console_.readable(); }
  Result<size_t> writable() override { return console_.writable(); }
  Result<size_t> read(std::span<std::byte> room) override { return console_.read(room); }
  Result<size_t> write(std::string_view text) override { return console_.write(text); }
  Result<Owned<Callback>> add_wakeup(Delegate changed) override {
    return enrolled(roster_, console_.add_wakeup(changed), "a wake-up of the console");
  }

  Console& console_;
  Roster& roster_;
};

class LeasedDebug final : public Debug {
 public:
  using Interface = Debug;
  LeasedDebug(Bus& bus, Roster& roster) : debug_(bus.debug()), roster_(roster) {}
  Debug* interface() { return this; }
  uint32_t open_ends() const { return 0; }

 private:
  Result<Owned<Callback>> add(const char* name, Delegate tell) override {
    return enrolled(roster_, debug_.add(name, tell),
                    platform::Line().text("the debug callback ").text(name).view());
  }
  void print(std::string_view line) override { debug_.print(line); }
  void trigger() override { debug_.trigger(); }

  Debug& debug_;
  Roster& roster_;
};

class LeasedBalloon final : public Balloon {
 public:
  using Interface = Balloon;
  LeasedBalloon(Bus& bus, Roster&) : balloon_(bus.balloon()) {}
  Balloon* interface() { return this; }
  uint32_t open_ends() const { return 0; }

 private:
  Status adjust(uint64_t pages) override { return balloon_.adjust(pages); }
  uint64_t size() const override { return balloon_.size(); }

  Balloon& balloon_;
};

}  // namespace ringside::xenbus
