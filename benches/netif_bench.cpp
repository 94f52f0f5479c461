#include <benchmark/benchmark.h>

#include <array>

#include "backends/netback/null_port.hpp"
#include "benches/guest_rig.hpp"
#include "conformance/rig/vif_device.hpp"

namespace ringside::benches {
namespace {

/// Sends batches and waits for all their completions.
class Sender final : public xenvif::Client {
 public:
  static constexpr unsigned kBatch = 64;

  bool prepare(platform::Platform& platform, uint16_t length) {
    auto event = platform.create_event();
    const auto page = platform.allocate_page();
    if (!event || !page) return false;
    done_ = *std::move(event);
    page_ = *page;
    fragment_ = {.address = page->address, .frame = page_.frame, .offset = 0, .length = length};
    return true;
  }
  void release(platform::Platform& platform) {
    platform.release_page(page_);
    done_.reset();
  }

  bool send(GuestRig& rig, xenvif::Queue& queue, benchmark::State& state) {
    outstanding_ = kBatch;
    for (unsigned i = 0; i < kBatch; ++i) {
      if (!ok(queue.transmit({.fragments = {&fragment_, 1},
                              .checksum = xenvif::Checksum::kUnknown,
                              .gso = {},
                              .cookie = i}))) {
        state.SkipWithError("a packet was not taken");
        return false;
      }
    }
    queue.flush();
    if (!rig.await(*done_, state)) return false;
    if (failed_) state.SkipWithError("a packet was lost");
    return !failed_;
  }

  void transmitted(xenvif::Queue&, uint64_t, xenvif::TxStatus status) override {
    failed_ |= status != xenvif::TxStatus::kSent;
    if (--outstanding_ == 0) done_->signal();
  }
  void room(xenvif::Queue&) override {}
  void received(xenvif::Queue& queue, const xenvif::RxPacket& packet) override {
    queue.give_back(packet);
  }
  void link_changed(xenvif::LinkState) override {}

 private:
  Owned<platform::Event> done_;
  platform::Page page_;
  xenvif::Fragment fragment_;
  unsigned outstanding_ = 0;
  bool failed_ = false;
};

/// One operation: a packet from transmit() through ring and grants to netback's port, and its
/// completion.
void netif_transmit(benchmark::State& state) {
  const auto length = static_cast<uint16_t>(state.range(0));
  backends::NullPort sink;
  GuestRig rig;
  const auto netback = conformance::start_netback(
      rig.host(), [&](uint16_t, unsigned) -> backends::Port* { return &sink; });
  Sender sender;
  {
    conformance::VifDevice device(rig.guest(), sender);
    if (!device.connect()) return state.SkipWithError("no link");
    rig.run([&] {
      if (!sender.prepare(rig.platform(), length)) return state.SkipWithError("no memory");
      timed(state, [&] { return sender.send(rig, device.vif().queue(0), state); });
    });
    state.SetItemsProcessed(state.iterations() * Sender::kBatch);
    state.SetBytesProcessed(state.iterations() * Sender::kBatch * length);
  }
  rig.run([&] { sender.release(rig.platform()); });
}

BENCHMARK(netif_transmit)->Name("netif/transmit")->Arg(64)->Arg(1500);

}  // namespace
}  // namespace ringside::benches
