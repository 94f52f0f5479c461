#include <tuple>

#include "conformance/blkif/random_load.hpp"

namespace ringside::conformance {
namespace {

using Operation = xenvbd::Operation;

using ProfileAndOrder = std::tuple<const char*, uint32_t>;
class BlkifDataTest : public ::testing::TestWithParam<ProfileAndOrder> {};

// BLKIF-IO-013: answered in the seed's order, over every kind of ring.
TEST_P(BlkifDataTest, BLKIF_IO_013_EveryByteArrivesWhateverTheOrderOfTheAnswers) {
  const auto [profile, order] = GetParam();
  DiskStack stack(blkback_named(profile));
  stack.settings = {{"FrontendMaxRingPageOrder", order}};
  stack.connect();
  EXPECT_EQ(stack.queue().ring_size(),
            32u << std::min(order, stack.config.profile.max_ring_page_order));
  RandomLoad load(stack, stack.host.world().seed() + order);
  for (int round = 0; round < 4; ++round) {
    load.submit(30);
    load.expect_right();
  }
  EXPECT_EQ(stack.queue().statistics().indirect > 0,
            stack.config.profile.max_indirect_segments > 0);
}

// BLKIF-IO-031: the back end dies in the middle, another takes its place.
TEST_P(BlkifDataTest, BLKIF_IO_031_ABackEndThatDiesAmidTheTrafficLosesNothing) {
  const auto [profile, order] = GetParam();
  DiskStack stack(blkback_named(profile));
  stack.settings = {{"FrontendMaxRingPageOrder", order}};
  stack.connect();
  RandomLoad load(stack, stack.host.world().seed() + 100 + order);
  for (int round = 0; round < 3; ++round) {
    load.submit(40);
    stack.blkback.reset();
    load.submit(5);
    stack.start_back_end();
    load.expect_right();
  }
  EXPECT_GT(stack.client.disk_losses(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Profiles, BlkifDataTest,
                         ::testing::Combine(::testing::Values("linux", "linux3", "classic", "qdisk",
                                                              "tapdisk", "freebsd"),
                                            ::testing::Range(0u, 5u)));

class BlkifDiskTest : public ::testing::TestWithParam<const char*> {
 protected:
  DiskStack stack_{blkback_named(GetParam())};
};

TEST_P(BlkifDiskTest, BLKIF_IO_015_BLKIF_IO_016_AFlushReachesTheDisk) {
  stack_.connect();
  ASSERT_EQ(stack_.write(0, pattern(4096, 1)), Status::kOk);
  EXPECT_EQ(stack_.done(stack_.make(Operation::kFlush, 0)), Status::kOk);
  EXPECT_EQ(stack_.disk->flushes(), 1u);
  const bool cache = stack_.config.profile.flush_cache;
  EXPECT_EQ(stack_.client.disk().flush_mode(),
            cache ? xenvbd::FlushMode::kCache : xenvbd::FlushMode::kBarrier);
}

TEST_P(BlkifDiskTest, BLKIF_IO_019_ADiscardGivesTheRangeUp) {
  stack_.connect();
  ASSERT_EQ(stack_.write(0, pattern(16384, 1)), Status::kOk);
  TestRequest& discard = stack_.make(Operation::kDiscard, 8);
  discard.request.sectors = 16;
  const bool supported = stack_.config.profile.discard;
  EXPECT_EQ(stack_.done(discard), supported ? Status::kOk : Status::kNotSupported);
  EXPECT_EQ(stack_.disk->discards(), supported ? 1u : 0u);
  const auto data = pattern(16384, 1);
  EXPECT_TRUE(std::equal(data.begin(), data.begin() + 4096, stack_.disk->bytes().begin()));
}

TEST_P(BlkifDiskTest, BLKIF_NEG_028_TheDiskGrowsAndShrinks) {
  stack_.connect();
  EXPECT_EQ(stack_.write(16384, pattern(4096, 1)), Status::kInvalidArgument);
  stack_.disk->resize(32768);
  (*stack_.blkback)->resized();
  ASSERT_TRUE(stack_.host.run_until([&] { return stack_.client.disk().sectors == 32768; }));
  EXPECT_EQ(stack_.write(16384, pattern(4096, 1)), Status::kOk);
  stack_.disk->resize(8192);
  (*stack_.blkback)->resized();
  ASSERT_TRUE(stack_.host.run_until([&] { return stack_.client.disk().sectors == 8192; }));
  EXPECT_EQ(stack_.write(8192, pattern(4096, 1)), Status::kInvalidArgument);
  EXPECT_EQ(stack_.client.disk_losses(), 0u) << "one connection all along";
}

TEST_P(BlkifDiskTest, BLKIF_NEG_026_BLKIF_NEG_027_ReadOnlyAndCdromAreHonoured) {
  stack_.vbd_config.mode = "r";
  stack_.vbd_config.device_type = "cdrom";
  stack_.connect();
  EXPECT_TRUE(stack_.client.disk().read_only);
  EXPECT_TRUE(stack_.client.disk().cdrom);
  EXPECT_EQ(stack_.write(0, pattern(4096, 1)), Status::kReadOnly);
  EXPECT_EQ(stack_.done(stack_.make(Operation::kRead, 0, 1)), Status::kOk);
}

TEST_P(BlkifDiskTest, BLKIF_NEG_010_BLKIF_NEG_005_StaleKeysGoAndTheProtocolIsNamed) {
  stack_.settings = {{"FrontendPersistentGrants", 0}};
  stack_.attach();
  const std::string& frontend = stack_.vbd->paths().frontend;
  stack_.host.toolstack().write(frontend + "/feature-large-sector-size", "1");
  stack_.host.toolstack().write(frontend + "/feature-persistent", "1");
  ASSERT_TRUE(stack_.vbd->connect());
  EXPECT_EQ(stack_.frontend_node("feature-large-sector-size"), "absent");
  EXPECT_EQ(stack_.frontend_node("feature-persistent"), "absent");
  EXPECT_EQ(stack_.frontend_node("protocol"), "x86_64-abi");
}

TEST_P(BlkifDiskTest, BLKIF_NEG_008_LargeSectorsTravelIn512ByteUnits) {
  if (stack_.config.profile.own_sectors) GTEST_SKIP() << "it counts otherwise, against the header";
  stack_.config.profile.sector_size = 4096;
  stack_.config.profile.physical_sector_size = 4096;
  stack_.connect();
  EXPECT_EQ(stack_.client.disk().sectors, 16384u);
  const auto data = pattern(8192, 7);
  ASSERT_EQ(stack_.write(64, data), Status::kOk);
  EXPECT_TRUE(std::equal(data.begin(), data.end(), stack_.disk->bytes().begin() + 64 * 512));
  EXPECT_EQ(stack_.write(65, data), Status::kInvalidArgument);
}

TEST_P(BlkifDiskTest, BLKIF_NEG_032_AMigrationToALesserBackEnd) {
  stack_.connect();
  stack_.blkback.reset();
  stack_.config.profile = blkback_named("classic");
  stack_.start_back_end();
  ASSERT_EQ(stack_.write(8, pattern(4096 * 40, 2)), Status::kOk);
  EXPECT_EQ(stack_.queue().ring_size(), 32u);
  EXPECT_FALSE(stack_.client.disk().flush_cache);
  EXPECT_EQ(stack_.client.disk().max_indirect_segments, 0u);
}

TEST_P(BlkifDiskTest, BLKIF_IO_031_ClosingEndsEverythingOnceAndOpensAgain) {
  stack_.connect();
  for (unsigned i = 0; i < 50; ++i) {
    stack_.submitted(stack_.make(Operation::kRead, i * 8, 3));
  }
  ASSERT_TRUE(stack_.vbd->close());
  EXPECT_EQ(stack_.client.completions(), 50u);
  ASSERT_TRUE(stack_.vbd->connect());
  EXPECT_EQ(stack_.write(0, pattern(4096, 1)), Status::kOk);
}

// BLKIF-IO-023 with its other half: what the front end keeps granted the back end keeps mapped.
TEST_P(BlkifDiskTest, BLKIF_IO_023_BLKIF_IO_024_BothSidesKeepTheSamePages) {
  stack_.connect();
  RandomLoad load(stack_, stack_.host.world().seed() + 3);
  const bool kept = stack_.config.profile.max_persistent > 0;
  EXPECT_EQ(stack_.frontend_node("feature-persistent"), "1");
  for (int round = 0; round < 3; ++round) {
    load.submit(30);
    load.expect_right();
  }
  const auto& front = stack_.queue().statistics();
  EXPECT_EQ(front.kept, kept ? front.segments : 0u);
  const auto back = (*stack_.blkback)->statistics(stack_.guest->domid(), stack_.vbd_config.vdev);
  EXPECT_EQ(back.kept > 0, kept);
  if (kept) {
    EXPECT_LT(back.kept, front.segments / 2) << "most were mapped already";
  }
}

TEST_P(BlkifDiskTest, BLKIF_IO_023_KeepingCanBeSwitchedOff) {
  stack_.settings = {{"FrontendPersistentGrants", 0}};
  stack_.connect();
  EXPECT_EQ(stack_.frontend_node("feature-persistent"), "absent");
  ASSERT_EQ(stack_.write(8, pattern(4096 * 40, 2)), Status::kOk);
  EXPECT_EQ(stack_.queue().statistics().kept, 0u);
  const auto back = (*stack_.blkback)->statistics(stack_.guest->domid(), stack_.vbd_config.vdev);
  EXPECT_EQ(back.kept, 0u);
}

INSTANTIATE_TEST_SUITE_P(Profiles, BlkifDiskTest,
                         ::testing::Values("linux", "linux3", "classic", "qdisk", "tapdisk",
                                           "freebsd"));

}  // namespace
}  // namespace ringside::conformance
