#include <array>
#include <atomic>
#include <deque>
#include <mutex>

#include "conformance/xennet/adapter_fixture.hpp"

namespace ringside::conformance {
namespace {

constexpr unsigned kLists = 300;  ///< that each CPU sends
constexpr unsigned kCpus = 2;

/// What is sent comes back.
class EchoPort final : public backends::Port {
 public:
  size_t room() override { return 64 - std::min<size_t>(64, frames_.size()); }
  void sent(backends::Frame&& frame) override {
    frames_.push_back(std::move(frame));
    wake();
  }
  bool receive(backends::Frame& frame) override {
    if (frames_.empty()) return false;
    frame = std::move(frames_.front());
    frames_.pop_front();
    wake();
    return true;
  }

 private:
  std::deque<backends::Frame> frames_;
};

struct CountedList : xennet::NetBufferList {
  xennet::NetBuffer buffer;
  xennet::Mdl mdl;
  platform::Page page;
  uintptr_t frame = 0;
  std::atomic<unsigned> completions = 0;
};

/// NDIS on any thread: counts, and keeps what comes up for another CPU to return.
class CountingNdis final : public xennet::Ndis {
 public:
  void send_complete(xennet::NetBufferList* chain) override {
    while (chain != nullptr) {
      auto* list = static_cast<CountedList*>(std::exchange(chain, chain->next));
      ++list->completions;
      ++completed;
    }
  }
  void receive(xennet::NetBufferList* chain, uint32_t count, uint32_t flags) override {
    received += count;
    if (flags & xennet::kReceiveResources) return;
    const std::lock_guard guard(mutex_);
    while (chain != nullptr) up_.push_back(std::exchange(chain, chain->next));
  }
  void status(xennet::NdisStatus, std::span<const std::byte>) override {}
  void pause_complete() override { ++pauses; }

  void return_all(xennet::Adapter& adapter) {
    std::deque<xennet::NetBufferList*> all;
    {
      const std::lock_guard guard(mutex_);
      all.swap(up_);
    }
    for (xennet::NetBufferList* list : all) {
      list->next = nullptr;
      adapter.return_lists(list);
    }
  }

  std::atomic<unsigned> completed = 0;
  std::atomic<unsigned> received = 0;
  std::atomic<unsigned> pauses = 0;

 private:
  std::mutex mutex_;
  std::deque<xennet::NetBufferList*> up_;
};

/// Both CPUs send, return what the other received and cancel, each on a thread of its own,
/// while the vif's events come on one of them; then a pause comes in between.
class ThreadedXennetTest : public testing::TestWithParam<uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Queues, ThreadedXennetTest, testing::Values(1, 2));

TEST_P(ThreadedXennetTest, EachListOnceFromTwoCpus) {
  Host host({.threaded = true});
  EchoPort port;
  CountingNdis ndis;
  {
    sim::GuestConfig config;
    config.vcpus = kCpus;
    DriverGuest guest(host, config, nullptr, {{"FrontendMaxQueues", GetParam()}});
    auto netback = start_netback(host, [&](uint16_t, unsigned) { return &port; });
    std::deque<CountedList> lists(kCpus * kLists);
    {
      AdapterDevice device(guest, ndis);
      xennet::Adapter& adapter = *device.operator->();
      guest.run([&] {
        ASSERT_EQ(adapter.initialize({}), xennet::NdisStatus::kSuccess);
        adapter.restart();
        uint32_t filter = xennet::kFilterPromiscuous;
        xennet::OidRequest request{.oid = xennet::Oid::kGenCurrentPacketFilter,
                                   .buffer = std::as_writable_bytes(std::span(&filter, 1))};
        EXPECT_EQ(adapter.set(request), xennet::NdisStatus::kSuccess);
        unsigned number = 0;
        for (CountedList& list : lists) {
          const Bytes frame = plain_frame(60 + number * 2, number);
          list.page = *guest.platform().allocate_page();
          std::memcpy(list.page.address, frame.data(), frame.size());
          list.frame = static_cast<uintptr_t>(list.page.frame);
          list.mdl = {nullptr, list.page.address, platform::kPageSize, &list.frame};
          list.buffer = {nullptr, &list.mdl, 0, static_cast<uint32_t>(frame.size())};
          list.first = &list.buffer;
          list.cancel_id = number++ % 50;
        }
      });
      std::array<std::atomic<bool>, kCpus> done{};
      for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
        guest.guest().post(cpu, [&, cpu] {
          for (unsigned i = 0; i < kLists; ++i) {
            adapter.send(&lists[cpu * kLists + i]);
            if (i % 8 == 0) ndis.return_all(adapter);
            if (i % 64 == 0) adapter.cancel(i % 50);
          }
          done[cpu] = true;
        });
      }
      host.require("both CPUs", [&] { return done[0].load() && done[1].load(); });
      host.require("some frames to come back", [&] { return ndis.received >= 100; });
      guest.run([&] { EXPECT_EQ(adapter.pause(), xennet::NdisStatus::kPending); }, 1);
      for (unsigned i = 0; i < 10000 && ndis.pauses == 0; ++i) {
        guest.run([&] { ndis.return_all(adapter); }, 1);
        host.pass(platform::kMillisecond);
      }
      EXPECT_EQ(ndis.pauses.load(), 1u);
      EXPECT_EQ(ndis.completed.load(), lists.size());
      for (const CountedList& list : lists) EXPECT_EQ(list.completions.load(), 1u);
    }
    guest.run([&] {
      for (const CountedList& list : lists) guest.platform().release_page(list.page);
    });
  }
  EXPECT_EQ(host.audit(), std::vector<std::string>{});
}

}  // namespace
}  // namespace ringside::conformance
