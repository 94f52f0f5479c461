#include <set>

#include "conformance/blkif/random_load.hpp"
#include "conformance/rig/migration.hpp"
#include "protocols/xenbus/suspend_agent.hpp"

namespace ringside::conformance {
namespace {

constexpr unsigned kCpus = 4;

/// A disk of as many queues as its guest has CPUs. Parameter: the ring's order.
class BlkifQueuesTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  void SetUp() override {
    if (const auto why = chosen_xen_lacks(sim::XenFeature::kUpcallVector)) GTEST_SKIP() << *why;
    stack_.guest_config.vcpus = kCpus;
    stack_.settings = {{"FrontendMaxQueues", kCpus}, {"FrontendMaxRingPageOrder", GetParam()}};
  }
  unsigned queues() { return (*stack_.vbd)->queue_count(); }
  /// Another back end takes the place of the one there is. Not before both sides know that they
  /// are connected: else it would go on with the rings of the other.
  void replace(const char* profile, uint32_t max_queues) {
    if (stack_.blkback) {
      ASSERT_TRUE(stack_.guest->wait((*stack_.vbd)->device().connected()));
    }
    stack_.blkback.reset();
    stack_.config.profile = blkback_named(profile);
    stack_.config.profile.max_queues = max_queues;
    stack_.start_back_end();
  }
  void expect_keys_of(const std::string& directory, uint32_t pages) {
    EXPECT_EQ(stack_.frontend_node(directory + "ring-ref") == "absent", pages != 1);
    for (uint32_t i = 0; i < 4; ++i) {
      const std::string key = directory + "ring-ref" + std::to_string(i);
      EXPECT_EQ(stack_.frontend_node(key) == "absent", pages == 1 || i >= pages) << key;
    }
    EXPECT_EQ(stack_.frontend_node(directory + "event-channel") == "absent", pages == 0);
  }

  DiskStack stack_{blkback_named("linux")};
};

TEST_P(BlkifQueuesTest, BLKIF_NEG_006_EachQueueIsInItsDirectoryAndTheSizeIsAtTheTop) {
  stack_.connect();
  ASSERT_EQ(queues(), kCpus);
  EXPECT_EQ(stack_.frontend_node("multi-queue-num-queues"), "4");
  const uint32_t order = GetParam();
  const std::string size = order == 0 ? "absent" : std::to_string(order);
  EXPECT_EQ(stack_.frontend_node("ring-page-order"), size);
  expect_keys_of("", 0);
  std::set<std::string> channels;
  for (unsigned i = 0; i < kCpus; ++i) {
    const std::string directory = "queue-" + std::to_string(i) + "/";
    expect_keys_of(directory, 1u << order);
    channels.insert(stack_.frontend_node(directory + "event-channel"));
    EXPECT_EQ(stack_.frontend_node(directory + "ring-page-order"), "absent");
  }
  EXPECT_EQ(channels.size(), kCpus);
  EXPECT_EQ(stack_.frontend_node("queue-4/event-channel"), "absent");
}

TEST_P(BlkifQueuesTest, BLKIF_NEG_006_KeysOfTheOtherFormAreRemoved) {
  stack_.connect();
  for (const unsigned served : {1u, 2u, 0u, 4u}) {
    replace("linux", served);
    ASSERT_EQ(stack_.write(0, pattern(4096, served)), Status::kOk);
    const unsigned expected = std::max(served, 1u);
    EXPECT_EQ(queues(), expected);
    EXPECT_EQ(stack_.frontend_node("multi-queue-num-queues"),
              expected == 1 ? "absent" : std::to_string(expected));
    expect_keys_of("", expected == 1 ? 1u << GetParam() : 0);
    for (unsigned i = 0; i < kCpus; ++i) {
      const std::string key = "queue-" + std::to_string(i) + "/event-channel";
      EXPECT_EQ(stack_.frontend_node(key) == "absent", expected == 1 || i >= expected) << key;
    }
  }
}

// BLKIF-IO-013, each queue with answers in an order of its own.
TEST_P(BlkifQueuesTest, BLKIF_IO_013_EveryByteArrivesWhateverItsQueue) {
  stack_.connect();
  RandomLoad load(stack_, stack_.host.world().seed());
  for (int round = 0; round < 4; ++round) {
    load.submit(40);
    load.expect_right();
  }
  for (unsigned i = 0; i < kCpus; ++i) EXPECT_GT(stack_.queue(i).statistics().completions, 0u);
}

// BLKIF-IO-031: what waits on a queue that the next back end does not serve goes over to another.
TEST_P(BlkifQueuesTest, BLKIF_IO_031_BackEndsOfOtherSizesTakeOverAmidTheTraffic) {
  stack_.connect();
  RandomLoad load(stack_, stack_.host.world().seed() + 7);
  const std::pair<const char*, uint32_t> next[] = {{"linux", 4}, {"classic", 0}, {"linux", 3},
                                                   {"linux", 1}, {"qdisk", 2},   {"linux", 4}};
  for (const auto& [profile, served] : next) {
    load.submit(40);
    stack_.blkback.reset();
    load.submit(10);
    replace(profile, served);
    load.expect_right();
    EXPECT_EQ(queues(), std::max(served, 1u));
  }
  EXPECT_GT(stack_.client.disk_losses(), 0u);
}

TEST_P(BlkifQueuesTest, BLKIF_IO_031_ASuspendAmidTheTrafficLosesNothing) {
  stack_.connect();
  platform::Box<xenbus::SuspendAgent> agent;
  stack_.guest->run([&] { agent = *xenbus::SuspendAgent::create(stack_.guest->services()); });
  RandomLoad load(stack_, stack_.host.world().seed() + 9);
  std::vector<sim::DevicePaths> devices{stack_.vbd->paths()};
  for (int round = 0; round < 3; ++round) {
    load.submit(40);
    suspend(*stack_.guest);
    restore(
        *stack_.guest, devices,
        [&](uint16_t domid) {
          devices = {stack_.host.toolstack().attach_vbd(domid, stack_.vbd_config)};
        },
        stack_.guest_config);
    load.submit(5);
    load.expect_right();
    EXPECT_EQ(queues(), kCpus);
  }
  stack_.guest->run([&] { agent = {}; });
}

TEST_P(BlkifQueuesTest, BLKIF_IO_031_ClosingEndsEverythingOnEachQueueOnce) {
  stack_.connect();
  for (unsigned i = 0; i < 80; ++i) {
    stack_.submitted(stack_.make(xenvbd::Operation::kRead, i * 8, 3), i % kCpus);
  }
  ASSERT_TRUE(stack_.vbd->close());
  EXPECT_EQ(stack_.client.completions(), 80u);
  ASSERT_TRUE(stack_.vbd->connect());
  EXPECT_EQ(stack_.write(0, pattern(4096, 1)), Status::kOk);
}

INSTANTIATE_TEST_SUITE_P(RingOrders, BlkifQueuesTest, ::testing::Values(0u, 2u));

struct QueueLimits {
  uint32_t setting;
  unsigned cpus;
  uint32_t served;  ///< by the back end
  unsigned expected;
};
class BlkifQueueCountTest : public ::testing::TestWithParam<QueueLimits> {};

TEST_P(BlkifQueueCountTest, BLKIF_NEG_007_NoMoreQueuesThanAnyOfThemAllows) {
  if (const auto why = chosen_xen_lacks(sim::XenFeature::kUpcallVector)) GTEST_SKIP() << *why;
  const QueueLimits limits = GetParam();
  DiskStack stack(blkback_named("linux"));
  stack.config.profile.max_queues = limits.served;
  stack.guest_config.vcpus = limits.cpus;
  if (limits.setting > 0) stack.settings = {{"FrontendMaxQueues", limits.setting}};
  stack.connect();
  EXPECT_EQ((*stack.vbd)->queue_count(), limits.expected);
  const auto statistics = (*stack.blkback)->statistics(stack.guest->domid(), stack.vbd_config.vdev);
  EXPECT_EQ(statistics.queues, limits.expected);
  EXPECT_EQ(stack.write(0, pattern(4096, 1)), Status::kOk);
}

INSTANTIATE_TEST_SUITE_P(Limits, BlkifQueueCountTest,
                         ::testing::Values(QueueLimits{0, 4, 4, 2},  // the default
                                           QueueLimits{2, 4, 4, 2}, QueueLimits{8, 2, 4, 2},
                                           QueueLimits{8, 4, 3, 3}, QueueLimits{8, 4, 0, 1},
                                           QueueLimits{4, 4, 100, 4}));

}  // namespace
}  // namespace ringside::conformance
