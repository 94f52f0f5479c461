#include <benchmark/benchmark.h>

#include <atomic>

#include "benches/guest_rig.hpp"
#include "protocols/xenbus/object_cache.hpp"

namespace ringside::benches {
namespace {

using xenbus::Access;
using xenbus::GrantCache;

/// A guest whose vCPUs are threads: what is timed on the first may be disturbed by the second.
class TwoCpus {
 public:
  TwoCpus() { host_.world().trace().enable(false); }

  platform::Platform& platform() { return guest_.platform(); }
  xenbus::Services services() { return guest_.services(); }
  void run(const std::function<void()>& job) { guest_.run(job, 0, kLong); }

  /// Times `body` on the first vCPU, while the second repeats it too when `contended`. It is
  /// given the number of its vCPU, and false ends the benchmark.
  template <typename Body>
  void time(benchmark::State& state, bool contended, Body body) {
    std::atomic<bool> stop{false};
    std::atomic<bool> started{!contended};
    std::atomic<bool> ended{!contended};
    if (contended) {
      guest_.guest().post(1, [&] {
        started.store(true);
        while (!stop.load(std::memory_order_relaxed) && body(1)) {
        }
        ended.store(true);
      });
    }
    host_.require("the other vCPU's start", [&] { return started.load(); });
    run([&] { timed(state, [&] { return body(0); }); });
    stop.store(true);
    host_.require("the other vCPU's end", [&] { return ended.load(); });
    state.SetItemsProcessed(state.iterations());
  }

 private:
  static constexpr platform::Nanoseconds kLong = 100'000 * platform::kSecond;
  static conformance::HostConfig threads() {
    conformance::HostConfig config;
    config.threaded = true;
    return config;
  }

  conformance::Host host_{threads()};
  conformance::DriverGuest guest_{host_, {.vcpus = 2}};
};

bool permit_and_revoke(GrantCache& cache, platform::Frame frame) {
  const auto ref = cache.permit(0, frame, Access::kReadWrite);
  return ref && ok(cache.revoke(*ref));
}

enum class Stock { kOfEachCpu, kOneBehindALock };

/// One operation: a page granted and taken back, from a stock of the CPU's own, or of all.
void grants(benchmark::State& state, Stock stock, bool contended) {
  TwoCpus rig;
  Owned<GrantCache> caches[2];
  Owned<platform::Lock> lock;
  platform::Page page;
  rig.run([&] {
    for (auto& cache : caches) cache = *rig.services().grants.create_cache("bench", 32, 32);
    lock = *rig.platform().create_lock();
    page = *rig.platform().allocate_page();
  });
  rig.time(state, contended, [&](unsigned cpu) {
    if (stock == Stock::kOfEachCpu) return permit_and_revoke(*caches[cpu], page.frame);
    const platform::LockGuard guard(*lock);
    return permit_and_revoke(*caches[0], page.frame);
  });
  rig.run([&] {
    for (auto& cache : caches) cache.reset();
    lock.reset();
    rig.platform().release_page(page);
  });
}

enum class Source { kMagazines, kHeap };

/// One operation: 256 bytes taken and given back.
void objects(benchmark::State& state, Source source, bool contended) {
  TwoCpus rig;
  platform::Box<xenbus::ObjectCache> cache;
  constexpr size_t kBytes = 256;
  rig.run([&] {
    const xenbus::CacheConfig config{
        .name = "bench", .object_bytes = kBytes, .reserve = 64, .cap = 256, .hooks = {}};
    cache = *platform::Box<xenbus::ObjectCache>::create(rig.platform(), rig.platform(), config);
    if (!ok(cache->start())) state.SkipWithError("no objects");
  });
  rig.time(state, contended, [&](unsigned) {
    if (source == Source::kHeap) {
      void* object = rig.platform().allocate(kBytes);
      rig.platform().release(object);
      return object != nullptr;
    }
    const auto object = cache->get();
    if (object) cache->put(*object);
    return object.ok();
  });
  rig.run([&] { cache = {}; });
}

BENCHMARK_CAPTURE(grants, ours, Stock::kOfEachCpu, false)->Name("grant/one_cpu/ours");
BENCHMARK_CAPTURE(grants, lock, Stock::kOneBehindALock, false)->Name("grant/one_cpu/lock");
BENCHMARK_CAPTURE(grants, ours_2, Stock::kOfEachCpu, true)->Name("grant/two_cpus/ours");
BENCHMARK_CAPTURE(grants, lock_2, Stock::kOneBehindALock, true)->Name("grant/two_cpus/lock");
BENCHMARK_CAPTURE(objects, ours, Source::kMagazines, false)->Name("cache/one_cpu/ours");
BENCHMARK_CAPTURE(objects, heap, Source::kHeap, false)->Name("cache/one_cpu/heap");
BENCHMARK_CAPTURE(objects, ours_2, Source::kMagazines, true)->Name("cache/two_cpus/ours");
BENCHMARK_CAPTURE(objects, heap_2, Source::kHeap, true)->Name("cache/two_cpus/heap");

}  // namespace
}  // namespace ringside::benches
