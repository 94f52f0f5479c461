#include "backends/blkback/faulty_disk.hpp"
#include "conformance/blkif/disk_stack.hpp"

namespace ringside::conformance {
namespace {

using Operation = xenvbd::Operation;

constexpr size_t kBytes = 64 << 10;
constexpr uint64_t kSectors = kBytes / backends::kSectorBytes;

/// A disk whose cache forgets when the power fails, behind each back end of the field.
class BlkifPowerTest : public ::testing::TestWithParam<const char*> {
 protected:
  BlkifPowerTest() {
    stack_.config.open_disk = [this](const backends::VbdIdentity&, std::string&) { return disk_; };
    stack_.connect();
  }

  /// The power fails, and with it goes the back end.
  void cut() {
    stack_.blkback.reset();
    disk_->cut_power([this](uint64_t bound) { return random_.below(bound); });
    stack_.start_back_end();
  }
  std::vector<std::byte> held(uint64_t sector) const {
    const auto from = stack_.disk->bytes().begin() + static_cast<ptrdiff_t>(sector * 512);
    return {from, from + kBytes};
  }

  DiskStack stack_{blkback_named(GetParam())};
  std::shared_ptr<backends::FaultyDisk> disk_ = std::make_shared<backends::FaultyDisk>(stack_.disk);
  sim::Random random_{stack_.host.world().seed()};
};

TEST_P(BlkifPowerTest, BLKIF_IO_016_ACutLosesNothingThatWasFlushed) {
  const auto before = pattern(kBytes, 1);
  const auto after = pattern(kBytes, 2);
  ASSERT_EQ(stack_.write(0, before), Status::kOk);
  ASSERT_EQ(stack_.write(kSectors, before), Status::kOk);
  ASSERT_EQ(stack_.done(stack_.make(Operation::kFlush, 0)), Status::kOk);
  ASSERT_EQ(stack_.write(kSectors, after), Status::kOk);
  cut();
  EXPECT_EQ(held(0), before);
  const auto torn = held(kSectors);
  unsigned old = 0;
  for (size_t at = 0; at < kBytes; at += 512) {
    const auto same = [&](const std::vector<std::byte>& other) {
      return std::equal(other.begin() + static_cast<ptrdiff_t>(at),
                        other.begin() + static_cast<ptrdiff_t>(at + 512),
                        torn.begin() + static_cast<ptrdiff_t>(at));
    };
    EXPECT_TRUE(same(before) || same(after)) << "sector " << at / 512;
    old += same(before);
  }
  EXPECT_GT(old, 0u) << "nothing was in the cache: the test shows nothing";
  EXPECT_LT(old, kSectors);
}

// BLKIF-IO-031: what had no answer when the power went is written when it is back.
TEST_P(BlkifPowerTest, BLKIF_IO_031_WhatWasUnderWayIsWrittenAfterTheCut) {
  const auto data = pattern(kBytes, 3);
  TestRequest& write = stack_.make(Operation::kWrite, 0, kBytes / 4096);
  write.set_bytes(data);
  stack_.blkback.reset();
  stack_.submitted(write);
  cut();
  ASSERT_TRUE(stack_.wait_for(1));
  EXPECT_EQ(stack_.client.status(write.request.cookie), Status::kOk);
  ASSERT_EQ(stack_.done(stack_.make(Operation::kFlush, 0)), Status::kOk);
  cut();
  EXPECT_EQ(held(0), data);
}

INSTANTIATE_TEST_SUITE_P(Profiles, BlkifPowerTest,
                         ::testing::Values("linux", "linux3", "classic", "qdisk", "tapdisk",
                                           "freebsd"));

}  // namespace
}  // namespace ringside::conformance
