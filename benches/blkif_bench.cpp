#include <benchmark/benchmark.h>

#include <array>

#include "backends/blkback/disk.hpp"
#include "benches/guest_rig.hpp"
#include "conformance/rig/vbd_device.hpp"

namespace ringside::benches {
namespace {

constexpr uint64_t kDiskSectors = 64 * 2048;
constexpr unsigned kMaxDepth = 32;

/// Keeps `depth` reads of 4 KiB in flight, each at a place of its own.
class Reader final : public xenvbd::Client {
 public:
  bool prepare(platform::Platform& platform, unsigned depth) {
    auto event = platform.create_event();
    if (!event) return false;
    done_ = *std::move(event);
    depth_ = depth;
    for (unsigned i = 0; i < depth; ++i) {
      const auto page = platform.allocate_page();
      if (!page) return false;
      segments_[i] = {.page = *page, .offset = 0, .length = platform::kPageSize};
    }
    return true;
  }
  void release(platform::Platform& platform) {
    for (unsigned i = 0; i < depth_; ++i) platform.release_page(segments_[i].page);
    done_.reset();
  }

  /// One read in each place, issued together, all answered.
  bool round(GuestRig& rig, xenvbd::Vbd& vbd, benchmark::State& state) {
    outstanding_ = depth_;
    for (unsigned i = 0; i < depth_; ++i) {
      requests_[i].sector = next_sector_;
      requests_[i].sectors = platform::kPageSize / xenvbd::kSectorBytes;
      requests_[i].segments = {&segments_[i], 1};
      next_sector_ = (next_sector_ + 8 * 617) % kDiskSectors;
      // All from one thread, so that calls to a queue of another CPU overlap with nothing.
      if (!ok(vbd.queue(i % vbd.queue_count()).submit(requests_[i]))) {
        state.SkipWithError("a read was not taken");
        return false;
      }
    }
    for (unsigned i = 0; i < vbd.queue_count(); ++i) vbd.queue(i).kick();
    if (!rig.await(*done_, state)) return false;
    if (failed_) state.SkipWithError("a read failed");
    return !failed_;
  }

  void completed(xenvbd::Queue&, xenvbd::Request&, Status status) override {
    failed_ |= !ok(status);
    if (--outstanding_ == 0) done_->signal();
  }
  void disk_changed(const xenvbd::Disk&) override {}
  void disk_lost() override {}

 private:
  Owned<platform::Event> done_;
  std::array<xenvbd::Segment, kMaxDepth> segments_;
  std::array<xenvbd::Request, kMaxDepth> requests_;
  unsigned depth_ = 0;
  unsigned outstanding_ = 0;
  uint64_t next_sector_ = 0;
  bool failed_ = false;
};

/// One operation: a 4 KiB read from submit() through ring and grants to a disk in memory,
/// and its completion. `kept`: through persistent grants.
void blkif_read(benchmark::State& state) {
  const auto depth = static_cast<unsigned>(state.range(0));
  const auto kept = static_cast<uint32_t>(state.range(1));
  const auto queues = static_cast<uint32_t>(state.range(2));
  GuestRig rig({{"FrontendPersistentGrants", kept}, {"FrontendMaxQueues", queues}}, queues);
  backends::Blkback::Config config;
  config.profile = conformance::chosen_blkback_profile();
  config.open_disk = [](const backends::VbdIdentity&, std::string&) {
    return std::make_shared<backends::MemoryDisk>(kDiskSectors);
  };
  const auto blkback = conformance::start_blkback(rig.host(), config);
  Reader reader;
  {
    conformance::VbdDevice device(rig.guest(), reader);
    if (!device.connect()) return state.SkipWithError("no disk");
    rig.run([&] {
      if (!reader.prepare(rig.platform(), depth)) return state.SkipWithError("no memory");
      timed(state, [&] { return reader.round(rig, device.vbd(), state); });
    });
    state.SetItemsProcessed(state.iterations() * depth);
    state.SetBytesProcessed(state.iterations() * depth * platform::kPageSize);
  }
  rig.run([&] { reader.release(rig.platform()); });
}

BENCHMARK(blkif_read)
    ->Name("blkif/read_4k")
    ->ArgNames({"depth", "kept", "queues"})
    ->ArgsProduct({{1, kMaxDepth}, {0, 1}, {1}})
    ->Args({kMaxDepth, 0, 2})
    ->Args({kMaxDepth, 1, 2});

}  // namespace
}  // namespace ringside::benches
