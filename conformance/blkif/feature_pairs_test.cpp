#include <fmt/format.h>

#include <algorithm>

#include "conformance/blkif/random_load.hpp"
#include "conformance/rig/pairwise.hpp"

namespace ringside::conformance {
namespace {

using backends::BlkbackProfile;
using xenvbd::FlushMode;
using xenvbd::Operation;

constexpr unsigned kCpus = 4;
constexpr uint32_t kIndirect[] = {0, 16, 256};
constexpr unsigned kQueues[] = {1, 2, kCpus};
enum Factor : size_t {
  kFlush,
  kBarrier,
  kDiscard,
  kBackKeeps,
  kFrontKeeps,
  kIndirectSize,
  kRingOrder,
  kQueueCount,
  kLargeSectors,
  kTrusted,
  kMaps,
};
constexpr unsigned kLevels[] = {2, 2, 2, 2, 2, 3, 5, 3, 2, 2, 2};

struct Pairs {
  unsigned number;
  Combination levels;
};

std::vector<Pairs> all_pairs() {
  std::vector<Pairs> all;
  for (Combination& levels : pairwise(kLevels)) {
    all.push_back({static_cast<unsigned>(all.size()), std::move(levels)});
  }
  return all;
}

BlkbackProfile profile_of(const Combination& of) {
  BlkbackProfile profile;
  profile.name = "pairs";
  profile.flush_cache = of[kFlush] != 0;
  profile.barrier = of[kBarrier] != 0;
  profile.discard = of[kDiscard] != 0;
  profile.max_indirect_segments = kIndirect[of[kIndirectSize]];
  profile.max_ring_page_order = of[kRingOrder];
  profile.sector_size = of[kLargeSectors] != 0 ? 4096 : 512;
  profile.physical_sector_size = profile.sector_size;
  profile.max_queues = kQueues[of[kQueueCount]];
  profile.map_data = of[kMaps] != 0;
  // Who copies maps nothing that could be kept.
  profile.max_persistent = profile.map_data && of[kBackKeeps] != 0 ? 1056 : 0;
  return profile;
}

/// The front end beside back ends with any two features in any of their states.
class BlkifFeaturePairsTest : public ::testing::TestWithParam<Pairs> {
 protected:
  void SetUp() override {
    if (const auto why = chosen_xen_lacks(sim::XenFeature::kUpcallVector)) GTEST_SKIP() << *why;
    stack_.guest_config.vcpus = kCpus;
    stack_.vbd_config.trusted = of(kTrusted) != 0;
    stack_.settings = {{"FrontendMaxQueues", kCpus}, {"FrontendPersistentGrants", of(kFrontKeeps)}};
    stack_.connect();
  }
  unsigned of(Factor factor) const { return GetParam().levels[factor]; }
  unsigned queues() { return (*stack_.vbd)->queue_count(); }
  const BlkbackProfile& profile() const { return stack_.config.profile; }
  xenvbd::Statistics sum() {
    xenvbd::Statistics sum;
    for (unsigned i = 0; i < queues(); ++i) {
      const xenvbd::Statistics& one = stack_.queue(i).statistics();
      sum.segments += one.segments;
      sum.indirect += one.indirect;
      sum.bounced += one.bounced;
      sum.kept += one.kept;
    }
    return sum;
  }

  DiskStack stack_{profile_of(GetParam().levels)};
};

INSTANTIATE_TEST_SUITE_P(Blkif, BlkifFeaturePairsTest, ::testing::ValuesIn(all_pairs()),
                         [](const auto& of) { return fmt::format("{:02}", of.param.number); });

TEST_P(BlkifFeaturePairsTest, BLKIF_NEG_001_WhatIsOfferedIsUsedAndNothingElse) {
  EXPECT_EQ(queues(), kQueues[of(kQueueCount)]);
  EXPECT_EQ(stack_.queue().ring_size(), 32u << of(kRingOrder));
  RandomLoad load(stack_, stack_.host.world().seed() + GetParam().number);
  load.submit(30);
  load.expect_right();
  const xenvbd::Statistics all = sum();
  const bool kept = profile().max_persistent > 0 && of(kFrontKeeps) != 0;
  EXPECT_EQ(all.indirect > 0, profile().max_indirect_segments > 0);
  EXPECT_EQ(all.kept, kept ? all.segments : 0u);
  EXPECT_EQ(all.bounced == all.segments, kept || of(kTrusted) == 0);
}

TEST_P(BlkifFeaturePairsTest, BLKIF_IO_013_EveryByteArrivesAndIsThereAfterAReconnect) {
  RandomLoad load(stack_, stack_.host.world().seed() + 50 + GetParam().number);
  for (int round = 0; round < 2; ++round) {
    load.submit(25);
    load.expect_right();
    ASSERT_TRUE(stack_.vbd->close());
    ASSERT_TRUE(stack_.vbd->connect());
  }
  load.submit(25);
  load.expect_right();
}

TEST_P(BlkifFeaturePairsTest, BLKIF_IO_016_AFlushGoesTheBestWayThereIs) {
  const auto mode = profile().flush_cache ? FlushMode::kCache
                    : profile().barrier   ? FlushMode::kBarrier
                                          : FlushMode::kNone;
  EXPECT_EQ(stack_.client.disk().flush_mode(), mode);
  ASSERT_EQ(stack_.write(64, pattern(8192, 3)), Status::kOk);
  for (unsigned i = 0; i < queues(); ++i) {
    stack_.submitted(stack_.make(Operation::kFlush, 0), i);
  }
  ASSERT_TRUE(stack_.wait_for(1 + queues()));
  for (const uint64_t cookie : stack_.client.order()) {
    EXPECT_EQ(stack_.client.status(cookie), Status::kOk);
  }
  EXPECT_EQ(stack_.disk->flushes(), mode == FlushMode::kNone ? 0u : queues());
}

TEST_P(BlkifFeaturePairsTest, BLKIF_IO_019_ADiscardTakesItsSectorsAlone) {
  const auto data = pattern(4096 * 4, 5);
  ASSERT_EQ(stack_.write(64, data), Status::kOk);
  TestRequest& discard = stack_.make(Operation::kDiscard, 72);
  discard.request.sectors = 16;
  EXPECT_EQ(stack_.done(discard), profile().discard ? Status::kOk : Status::kNotSupported);
  EXPECT_EQ(stack_.disk->discards(), profile().discard ? 1u : 0u);
  const std::byte* sectors = stack_.disk->bytes().data() + 64 * 512;
  EXPECT_TRUE(std::equal(data.begin(), data.begin() + 4096, sectors));
  EXPECT_TRUE(std::equal(data.end() - 4096, data.end(), sectors + 3 * 4096));
}

}  // namespace
}  // namespace ringside::conformance
