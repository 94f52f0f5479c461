#include "conformance/scsi/unit_rig.hpp"

namespace ringside::conformance {
namespace {

class ScsiModeTest : public UnitRig {
 protected:
  /// MODE SELECT (6) of the caching page with `flags` in its byte 2.
  Outcome select_caching(unsigned flags) {
    auto list = bytes({0, 0, 0, 0, 8, 0x12, flags});
    list.resize(24);
    return run(bytes({0x15, 0x10, 0, 0, 24, 0}), list);
  }
  std::string caching_flags(unsigned control = 0) {
    return hex(run({0x1a, 8, control << 6 | 8, 0, 255, 0}).data, 6, 1);
  }
};

TEST_F(ScsiModeTest, SCSI_050_SixAndTen) {
  EXPECT_EQ(run({0x1a, 0, 0x3f, 0, 255, 0}).text().substr(0, 35),
            "2b 00 10 08 00 00 08 00 00 00 02 00");
  EXPECT_EQ(run({0x5a, 0, 0x3f, 0, 0, 0, 0, 1, 0, 0}).text().substr(0, 47),
            "00 2e 00 10 00 00 00 08 00 00 08 00 00 00 02 00");
  EXPECT_EQ(run({0x1a, 8, 0x1c, 0, 255, 0}).text(),
            "0f 00 10 00 1c 0a 08 00 00 00 00 00 00 00 00 00");
  EXPECT_EQ(failure({0x1a, 0, 0x01, 0, 255, 0}), "5/24/00 cdb 2.5");
  EXPECT_EQ(failure({0x1a, 0, 0xc8, 0, 255, 0}), "5/39/00");
}

TEST_F(ScsiModeTest, SCSI_051_TheCacheIsTheDisks) {
  EXPECT_EQ(caching_flags(), "04");
  EXPECT_EQ(caching_flags(1), "04") << "can be changed";
  medium_.properties.flush_cache = false;
  EXPECT_EQ(caching_flags(), "00");
  EXPECT_EQ(caching_flags(1), "00");
  medium_.properties.barrier = true;
  EXPECT_EQ(caching_flags(), "04");
}

TEST_F(ScsiModeTest, SCSI_052_WhatTheDeviceIsLike) {
  const auto parameter = [&] { return hex(run({0x1a, 8, 0x3f, 0, 4, 0}).data, 2, 1); };
  EXPECT_EQ(parameter(), "10");
  medium_.properties.read_only = true;
  EXPECT_EQ(parameter(), "90");
  medium_.properties = plain_disk(8);
  medium_.properties.cdrom = true;
  EXPECT_EQ(parameter(), "80");
}

TEST_F(ScsiModeTest, SCSI_053_WhatCannotBeChanged) {
  EXPECT_EQ(select_caching(5).sense, "5/26/00 list 6") << "RCD";
  EXPECT_EQ(run(bytes({0x15, 0x10, 0, 0, 6, 0}), bytes({0, 0, 0, 0, 1, 10})).sense,
            "5/26/00 list 4");
  EXPECT_EQ(
      run(bytes({0x15, 0x10, 0, 0, 12, 0}), bytes({0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 16, 0})).sense,
      "5/26/00 list 9");
  EXPECT_EQ(failure({0x15, 0x11, 0, 0, 24, 0}), "5/24/00 cdb 1.0") << "SP";
  EXPECT_EQ(failure({0x15, 0x10, 0, 0, 24, 0}, 23), "5/1a/00");
  EXPECT_EQ(failure({0x55, 0x10, 0, 0, 0, 0, 0, 1, 0, 0}), "5/1a/00") << "longer than all pages";
  EXPECT_TRUE(run({0x15, 0x10, 0, 0, 0, 0}).good) << "nothing to change";
}

TEST_F(ScsiModeTest, SCSI_054_AllOrNothing) {
  auto list = bytes({0, 0, 0, 0, 8, 0x12, 0});
  list.resize(24);
  for (const std::byte byte : bytes({0x1c, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})) list.push_back(byte);
  EXPECT_EQ(run(bytes({0x15, 0x10, 0, 0, 36, 0}), list).sense, "5/26/00 list 26") << "DEXCPT";
  EXPECT_EQ(caching_flags(), "04");
  list[26] = std::byte{8};
  EXPECT_EQ(run(bytes({0x15, 0x10, 0, 0, 36, 0}), list).transferred, 36u);
  EXPECT_EQ(caching_flags(), "00");
}

TEST_F(ScsiModeTest, SCSI_055_WithoutACacheEachWriteIsFlushed) {
  EXPECT_TRUE(select_caching(4).good) << "as it is";
  EXPECT_EQ(story(), "");
  EXPECT_TRUE(select_caching(0).good);
  EXPECT_EQ(story(), "flush");
  EXPECT_TRUE(select_caching(0).good);
  EXPECT_EQ(story(), "") << "nothing is left in it";
  EXPECT_EQ(caching_flags(), "00");
  EXPECT_EQ(caching_flags(2), "04") << "the default";
  EXPECT_TRUE(run({0x2a, 0, 0, 0, 0, 4, 0, 0, 1, 0}).good);
  EXPECT_TRUE(run({0x0a, 0, 0, 4, 1, 0}).good);
  EXPECT_TRUE(run({0x28, 0, 0, 0, 0, 4, 0, 0, 1, 0}).good);
  EXPECT_EQ(story(), "write 4+1, flush, write 4+1, flush, read 4+1");
  EXPECT_TRUE(select_caching(4).good);
  EXPECT_TRUE(run({0x2a, 0, 0, 0, 0, 4, 0, 0, 1, 0}).good);
  EXPECT_EQ(story(), "write 4+1");
}

}  // namespace
}  // namespace ringside::conformance
