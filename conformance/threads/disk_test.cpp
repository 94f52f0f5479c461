#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <deque>

#include "conformance/rig/vbd_device.hpp"
#include "conformance/rig/xen.hpp"

namespace ringside::conformance {
namespace {

constexpr unsigned kCpus = 2;
constexpr unsigned kDepth = 12;    ///< requests of each CPU under way
constexpr unsigned kStretch = 60;  ///< completions between two disturbances

/// Writes and reads places of its own by turns, one after the other.
struct Lane {
  xenvbd::Request request;
  xenvbd::Segment segment;
  std::atomic<bool> busy = false;
  uint8_t generation = 0;
};

/// A disk of two queues with requests from both CPUs, each of which asks for the next one as soon
/// as one is done.
class ThreadedQueuesTest : public ::testing::Test, protected xenvbd::Client {
 protected:
  void SetUp() override {
    config_.profile = *backends::find_blkback_profile("linux");
    config_.open_disk = [this](const backends::VbdIdentity&, std::string&) { return disk_; };
    blkback_ = start_blkback(host_, config_);
    guest_.emplace(host_, sim::GuestConfig{.vcpus = kCpus});
    guest_->run([this] {
      for (Lane& lane : lanes_) {
        lane.segment = {*guest_->platform().allocate_page(), 0, platform::kPageSize};
        lane.request.segments = {&lane.segment, 1};
        lane.request.sectors = 8;
        lane.request.sector = static_cast<uint64_t>(&lane - lanes_.data()) * 8;
      }
    });
    device_.emplace(*guest_, static_cast<xenvbd::Client&>(*this));
    ASSERT_TRUE(device_->connect());
    if (const auto why = chosen_xen_lacks(sim::XenFeature::kUpcallVector)) GTEST_SKIP() << *why;
    ASSERT_EQ(vbd().queue_count(), kCpus);
  }
  void TearDown() override {
    leaving_ = true;
    EXPECT_TRUE(device_->close());
    for (const Lane& lane : lanes_) EXPECT_FALSE(lane.busy);
    device_.reset();
    guest_->run([this] {
      for (const Lane& lane : lanes_) guest_->platform().release_page(lane.segment.page);
    });
    guest_.reset();
    blkback_.reset();
    EXPECT_EQ(wrong_.load(), 0u);
    EXPECT_EQ(host_.audit(), std::vector<std::string>{});
  }
  xenvbd::Vbd& vbd() { return device_->vbd(); }

  /// Whatever is not under way goes to the queue of its CPU, on that CPU.
  void submit_all() {
    std::array<std::atomic<bool>, kCpus> done{};
    for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
      guest_->guest().post(cpu, [&, cpu] {
        xenvbd::Queue& queue = vbd().queue(cpu);
        for (unsigned i = 0; i < kDepth; ++i) {
          Lane& lane = lanes_[cpu * kDepth + i];
          if (!lane.busy.exchange(true)) submit(queue, lane);
        }
        queue.kick();
        done[cpu] = true;
      });
    }
    host_.require("both CPUs", [&] { return done[0].load() && done[1].load(); });
  }
  void let_some_pass() {
    const unsigned until = completions_ + kStretch;
    host_.require("requests to complete", [&] { return completions_ >= until; });
  }
  /// Another back end takes the place of the one there is.
  void replace(uint32_t max_queues) {
    ASSERT_TRUE(guest_->wait(vbd().device().connected()));
    blkback_.reset();
    config_.profile.max_queues = max_queues;
    blkback_ = start_blkback(host_, config_);
  }

  std::atomic<unsigned> completions_ = 0;
  Host host_{HostConfig{.threaded = true}};
  std::shared_ptr<backends::MemoryDisk> disk_ = std::make_shared<backends::MemoryDisk>(2048);
  backends::Blkback::Config config_;
  std::unique_ptr<BlkbackActor> blkback_;
  std::optional<DriverGuest> guest_;
  std::optional<VbdDevice> device_;

 private:
  void submit(xenvbd::Queue& queue, Lane& lane) {
    xenvbd::Request& request = lane.request;
    const bool write = request.operation == xenvbd::Operation::kRead;
    request.operation = write ? xenvbd::Operation::kWrite : xenvbd::Operation::kRead;
    std::memset(lane.segment.page.address, write ? ++lane.generation : 0xff, platform::kPageSize);
    if (ok(queue.submit(request))) return;
    request.operation = xenvbd::Operation::kRead;
    lane.busy = false;
  }
  void completed(xenvbd::Queue& queue, xenvbd::Request& request, Status status) override {
    const auto found = std::find_if(lanes_.begin(), lanes_.end(),
                                    [&](const Lane& one) { return &one.request == &request; });
    if (found == lanes_.end() || !found->busy) {
      ++wrong_;
      return;
    }
    Lane& lane = *found;
    const bool read = request.operation == xenvbd::Operation::kRead;
    const std::byte* bytes = lane.segment.page.address;
    const auto right = [&](size_t at) { return bytes[at] == std::byte{lane.generation}; };
    if (ok(status) && read && !(right(0) && right(2048) && right(4095))) ++wrong_;
    if (!ok(status) && status != Status::kClosed) ++wrong_;
    ++completions_;
    if (ok(status) && !leaving_) {
      submit(queue, lane);
      queue.kick();
      return;
    }
    request.operation = xenvbd::Operation::kRead;  // a write is to come first
    lane.busy = false;
  }
  void disk_changed(const xenvbd::Disk&) override {}
  void disk_lost() override {}

  std::array<Lane, kCpus * kDepth> lanes_;
  std::atomic<unsigned> wrong_ = 0;
  std::atomic<bool> leaving_ = false;
};

TEST_F(ThreadedQueuesTest, BLKIF_NEG_007_BothQueuesServeTheirCpus) {
  submit_all();
  let_some_pass();
  for (unsigned i = 0; i < kCpus; ++i) EXPECT_EQ(vbd().queue(i).ring_size(), 32u << 4) << i;
}

TEST_F(ThreadedQueuesTest, BLKIF_IO_031_ClosingAndOpeningAmidTheTraffic) {
  for (unsigned round = 0; round < 4; ++round) {
    submit_all();
    let_some_pass();
    ASSERT_TRUE(device_->close());
    ASSERT_TRUE(device_->connect());
  }
}

TEST_F(ThreadedQueuesTest, BLKIF_IO_031_ABackEndThatDiesAmidTheTraffic) {
  submit_all();
  for (unsigned round = 1; round <= 4; ++round) {
    let_some_pass();
    blkback_->crash(0);
    host_.require("another back end", [&] { return blkback_->restarts() >= round; });
  }
  let_some_pass();
}

TEST_F(ThreadedQueuesTest, BLKIF_IO_031_ABackEndThatServesFewerQueuesAmidTheTraffic) {
  for (const uint32_t queues : {1u, 2u, 1u, 2u}) {
    submit_all();
    let_some_pass();
    replace(queues);
    submit_all();
    let_some_pass();
    ASSERT_TRUE(guest_->wait(vbd().device().connected()));
    EXPECT_EQ(vbd().queue_count(), queues);
  }
}

TEST_F(ThreadedQueuesTest, BLKIF_IO_037_AShutdownAmidTheTraffic) {
  for (unsigned round = 0; round < 3; ++round) {
    submit_all();
    let_some_pass();
    guest_->run([&] { vbd().shut_down(); });
    ASSERT_TRUE(guest_->wait(vbd().device().closed()));
    ASSERT_TRUE(device_->connect());
  }
}

}  // namespace
}  // namespace ringside::conformance
