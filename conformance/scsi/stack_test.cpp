#include <tuple>

#include "conformance/scsi/scsi_stack.hpp"

namespace ringside::conformance {
namespace {

backends::BlkbackProfile profile_named(const char* name, uint32_t sector_size = 512) {
  backends::BlkbackProfile profile = *backends::find_blkback_profile(name);
  profile.sector_size = sector_size;
  profile.physical_sector_size = 4096;
  return profile;
}

/// READ or WRITE of `size` (6, 10, 12 or 16) bytes.
std::vector<std::byte> data_cdb(bool write, unsigned size, uint64_t lba, uint32_t count) {
  static const std::map<unsigned, unsigned> kReads{{6, 0x08}, {10, 0x28}, {12, 0xa8}, {16, 0x88}};
  std::vector<std::byte> cdb(size);
  cdb[0] = std::byte(kReads.at(size) | (write ? 2 : 0));
  if (size == 6) {
    xenvbd::store_big(std::span(cdb).subspan(1, 3), lba);
    cdb[4] = std::byte(count & 0xff);
    return cdb;
  }
  xenvbd::store_big(std::span(cdb).subspan(2, size == 16 ? 8 : 4), lba);
  const size_t at = size == 10 ? 7 : (size == 12 ? 6 : 10);
  xenvbd::store_big(std::span(cdb).subspan(at, size == 10 ? 2 : 4), count);
  return cdb;
}

using ProfileAndSize = std::tuple<const char*, uint32_t>;
class ScsiStackTest : public ::testing::TestWithParam<ProfileAndSize> {
 protected:
  uint32_t size() const { return std::get<1>(GetParam()); }

  ScsiStack stack_{profile_named(std::get<0>(GetParam()), std::get<1>(GetParam()))};
};

TEST_P(ScsiStackTest, SCSI_039_EveryByteArrives) {
  stack_.connect();
  sim::Random random(stack_.host.world().seed() + size());
  const uint64_t blocks = 16384 * 512 / size();
  std::vector<std::byte> model(blocks * size());
  for (unsigned i = 0; i < 60; ++i) {
    const std::array<unsigned, 4> kSizes{6, 10, 12, 16};
    const unsigned cdb_size = kSizes[random.below(4)];
    const auto count =
        static_cast<uint32_t>(1 + random.below(std::min(255u, 160u * 1024 / size())));
    const uint64_t lba = random.below(blocks - count + 1);
    const auto skew = static_cast<uint32_t>(random.chance(0.5) ? random.below(4096) : 0);
    const size_t length = size_t{count} * size();
    const auto at = model.begin() + static_cast<ptrdiff_t>(lba * size());
    const bool write = random.chance(0.5);
    std::vector<std::byte> data(length);
    if (write) data = pattern(length, i);
    const auto& order = stack_.run(data_cdb(write, cdb_size, lba, count), data, skew);
    ASSERT_EQ(order.sense(), "") << hex(order.cdb);
    ASSERT_EQ(order.command.answer.transferred, length);
    if (write) std::copy(data.begin(), data.end(), at);
    ASSERT_TRUE(std::equal(at, at + static_cast<ptrdiff_t>(length), order.data().begin()));
  }
}

TEST_P(ScsiStackTest, SCSI_034_SCSI_036_WhatIsForcedIsOnTheMedium) {
  stack_.connect();
  ASSERT_EQ(stack_.sense({0x2a, 0, 0, 0, 0, 1, 0, 0, 1, 0}, size()), "");
  EXPECT_GT(stack_.disk->unflushed, 0u);
  ASSERT_EQ(stack_.sense({0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0}), "");
  EXPECT_EQ(stack_.disk->unflushed, 0u);
  ASSERT_EQ(stack_.sense({0x2a, 8, 0, 0, 0, 1, 0, 0, 1, 0}, size()), "");
  EXPECT_EQ(stack_.disk->unflushed, 0u);
  EXPECT_EQ(stack_.disk->flushes, 2u);
}

TEST_P(ScsiStackTest, SCSI_005_SCSI_032_AResizeWhileConnected) {
  stack_.connect();
  const uint64_t blocks = 16384 * 512 / size();
  const auto past = data_cdb(false, 10, blocks, 1);
  EXPECT_EQ(stack_.run(past, std::vector<std::byte>(size())).sense(), "5/21/00");
  stack_.disk->resize(32768);
  (*stack_.blkback)->resized();
  ASSERT_TRUE(stack_.host.run_until([&] { return (*stack_.vbd)->disk().sectors == 32768; }));
  EXPECT_EQ(stack_.sense({0x00, 0, 0, 0, 0, 0}), "6/2a/09");
  EXPECT_EQ(stack_.run(past, std::vector<std::byte>(size())).sense(), "");
  const auto capacity = stack_.run({0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 8).data();
  EXPECT_EQ(xenvbd::load_big(std::span(capacity).first(4)), 2 * blocks - 1);
}

TEST_P(ScsiStackTest, SCSI_038_AFailingDiskIsAMediumError) {
  stack_.connect();
  stack_.disk->broken = true;
  EXPECT_EQ(stack_.sense({0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0}, size()), "3/11/00");
  EXPECT_EQ(stack_.sense({0x2a, 0, 0, 0, 0, 1, 0, 0, 1, 0}, size()), "3/0c/00");
  EXPECT_EQ(stack_.sense({0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0}), "3/0c/00");
  stack_.disk->broken = false;
  EXPECT_EQ(stack_.sense({0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0}, size()), "");
}

TEST_P(ScsiStackTest, SCSI_039_ABackEndThatDiesLosesNoCommand) {
  stack_.connect();
  std::vector<ScsiStack::Order*> writes;
  for (unsigned i = 0; i < 40; ++i) {
    writes.push_back(&stack_.start(data_cdb(true, 16, i * 8, 8), pattern(size() * 8, i)));
  }
  stack_.blkback.reset();
  stack_.start_back_end();
  for (const ScsiStack::Order* order : writes) {
    ASSERT_TRUE(stack_.wait_for(*order));
    EXPECT_EQ(order->sense(), "");
  }
  for (unsigned i = 0; i < 40; ++i) {
    const auto& order =
        stack_.run(data_cdb(false, 10, i * 8, 8), std::vector<std::byte>(size() * 8));
    EXPECT_TRUE(order.data() == pattern(size() * 8, i)) << i;
  }
}

TEST_P(ScsiStackTest, SCSI_038_AfterItIsClosedThereIsNoUnit) {
  stack_.connect();
  auto& order = stack_.start(data_cdb(false, 10, 0, 8), std::vector<std::byte>(size() * 8));
  ASSERT_TRUE(stack_.vbd->close());
  EXPECT_EQ(order.done, 1u);
  EXPECT_EQ(stack_.sense({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, size()), "5/25/00");
}

TEST_P(ScsiStackTest, SCSI_012_SCSI_013_SCSI_021_WhatTheBackEndSays) {
  stack_.attach();
  stack_.host.toolstack().write(stack_.vbd->paths().backend + "/sm-data/scsi/0x12/0x80",
                                "AIAAEjRjOGRhN2E1LTljMzAtNDggIA==");
  stack_.connect();
  EXPECT_EQ(hex(stack_.run({0x12, 1, 0x80, 0, 255, 0}, 255).data()),
            "00 80 00 12 34 63 38 64 61 37 61 35 2d 39 63 33 30 2d 34 38 20 20");
  EXPECT_EQ(hex(stack_.run({0x12, 1, 0x83, 0, 255, 0}, 255).data(), 16, 8),
            "30 30 30 30 30 30 30 37");
  const unsigned exponent = size() == 512 ? 3 : 0;
  EXPECT_EQ(hex(stack_.run({0x12, 1, 0xb0, 0, 255, 0}, 255).data(), 6, 2),
            hex(bytes({0, 1u << exponent})));
  const auto capacity =
      stack_.run({0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0}, 32).data();
  const bool discards = stack_.config.profile.discard;
  EXPECT_EQ(hex(capacity, 12, 4), hex(bytes({0, exponent, discards ? 0x80u : 0, 0})));
}

TEST_P(ScsiStackTest, SCSI_042_SCSI_043_WholeGranulesAreGivenUp) {
  stack_.config.profile.discard_granularity = 65536;
  stack_.connect();
  const uint32_t granule = 65536 / size();
  std::vector<std::byte> list(8 + 3 * 16);
  list[3] = std::byte{48};
  const auto put = [&](size_t i, uint64_t lba, uint64_t count) {
    xenvbd::store_big(std::span(list).subspan(8 + 16 * i, 8), lba);
    xenvbd::store_big(std::span(list).subspan(16 + 16 * i, 4), count);
  };
  put(0, granule / 2, granule);            // the halves of two granules
  put(1, granule / 2 + granule, granule);  // and with this one a whole one
  put(2, granule * 8, granule / 2);        // no whole one
  const auto cdb = bytes({0x42, 0, 0, 0, 0, 0, 0, 0, 8 + 48, 0});
  const std::string sense = stack_.run(cdb, list).sense();
  if (!stack_.config.profile.discard) {
    EXPECT_EQ(sense, "5/20/00");
    EXPECT_TRUE(stack_.disk->discards.empty());
    return;
  }
  EXPECT_EQ(sense, "");
  EXPECT_EQ(stack_.disk->discards, (std::set<SparseDisk::Range>{{128, 128}}));
}

TEST_P(ScsiStackTest, SCSI_033_SCSI_052_ReadOnlyDisks) {
  stack_.vbd_config.mode = "r";
  stack_.connect();
  EXPECT_EQ(stack_.sense({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0}, size()), "7/27/00");
  EXPECT_EQ(stack_.sense({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, size()), "");
  const auto mode = stack_.run({0x1a, 8, 0x3f, 0, 255, 0}, 255).data();
  EXPECT_EQ(mode[2] & std::byte{0x80}, std::byte{0x80});
}

INSTANTIATE_TEST_SUITE_P(Profiles, ScsiStackTest,
                         ::testing::Combine(::testing::Values("linux", "classic", "qdisk"),
                                            ::testing::Values(512u, 4096u)));

// 3 TiB in blocks of 512 bytes.
TEST(ScsiLargeDiskTest, SCSI_020_SCSI_032_SCSI_039_BehindTwoTebibytes) {
  ScsiStack stack(profile_named("linux"), 0x180000000);
  stack.connect();
  EXPECT_EQ(hex(stack.run({0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 8).data()), "ff ff ff ff 00 00 02 00");
  EXPECT_EQ(
      hex(stack.run({0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0}, 32).data(), 0, 12),
      "00 00 00 01 7f ff ff ff 00 00 02 00");
  const auto data = pattern(4096, 1);
  const uint64_t lba = 0x17ffffff8;
  EXPECT_EQ(stack.run(data_cdb(true, 16, lba, 8), data).sense(), "");
  EXPECT_EQ(hex(stack.run(data_cdb(false, 16, lba, 8), std::vector<std::byte>(4096)).data()),
            hex(data));
  EXPECT_EQ(stack.run(data_cdb(false, 16, lba + 1, 8), data).sense(), "5/21/00");
  const auto low = stack.run(data_cdb(false, 10, lba & 0xffffffff, 8), data).data();
  EXPECT_EQ(hex(low), hex(std::vector<std::byte>(4096))) << "not the block of the same low half";
}

}  // namespace
}  // namespace ringside::conformance
