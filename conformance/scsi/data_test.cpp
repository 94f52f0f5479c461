#include "conformance/scsi/unit_rig.hpp"

namespace ringside::conformance {
namespace {

class ScsiDataTest : public UnitRig {
 protected:
  ScsiDataTest() { medium_.image = pattern(medium_.image.size(), 1); }
  std::string at(uint64_t lba, size_t count) const {
    return hex(medium_.image, static_cast<size_t>(lba) * 512, count);
  }
};

TEST_F(ScsiDataTest, SCSI_030_NoBlocksAreNoWork) {
  for (const unsigned opcode : {0x28u, 0x2au, 0x2fu}) {
    EXPECT_TRUE(run({opcode, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0).good);
    EXPECT_TRUE(run({opcode, 8, 0, 0, 8, 0, 0, 0, 0, 0}, 0).good) << "at the disk's end";
    EXPECT_EQ(failure({opcode, 0, 0, 0, 8, 1, 0, 0, 0, 0}, 0), "5/21/00") << "behind it";
  }
  EXPECT_TRUE(run({0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0).good);
  EXPECT_TRUE(run({0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0).good);
  EXPECT_EQ(story(), "");
}

TEST_F(ScsiDataTest, SCSI_031_TheSmallOnes) {
  EXPECT_EQ(run({0x08, 0, 1, 2, 3, 0}, 3 * 512).transferred, 3u * 512);
  EXPECT_EQ(run({0x0a, 0xe0, 0, 2, 0, 0}, 256 * 512).transferred, 256u * 512) << "0 is 256";
  EXPECT_EQ(story(), "read 258+3, write 2+256");
  EXPECT_EQ(failure({0x08, 0x1f, 0xff, 0xff, 1, 0}), "5/21/00");
}

TEST_F(ScsiDataTest, SCSI_032_EveryAddressFieldIsWhole) {
  medium_.set_sectors(~uint64_t{0} / 512);
  medium_.answers = Status::kIoError;  // nothing is to be moved from there
  EXPECT_EQ(failure({0x28, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 1, 0}), "3/11/00");
  EXPECT_EQ(failure({0xa8, 0, 0x87, 0x65, 0x43, 0x21, 0, 0, 0, 1, 0, 0}), "3/11/00");
  EXPECT_EQ(failure({0x88, 0, 0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0, 0, 0, 1, 0, 0}),
            "3/11/00");
  EXPECT_EQ(medium_.seen[0].sector, 0x12345678u);
  EXPECT_EQ(medium_.seen[1].sector, 0x87654321u);
  EXPECT_EQ(medium_.seen[2].sector, 0x123456789abcdeu);
}

TEST_F(ScsiDataTest, SCSI_032_NothingIsPastTheEnd) {
  EXPECT_TRUE(run({0x28, 0, 0, 0, 7, 0xff, 0, 0, 1, 0}).good);
  story();
  EXPECT_EQ(failure({0x28, 0, 0, 0, 8, 0, 0, 0, 1, 0}), "5/21/00");
  EXPECT_EQ(failure({0x2a, 0, 0, 0, 7, 0xff, 0, 0, 2, 0}, 1024), "5/21/00");
  EXPECT_EQ(failure({0xaa, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0}), "5/21/00");
  EXPECT_EQ(failure({0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2, 0, 0}),
            "5/21/00");
  EXPECT_EQ(failure({0x35, 0, 0, 0, 8, 0, 0, 0, 1, 0}), "5/21/00");
  EXPECT_EQ(failure({0x2f, 0, 0, 0, 8, 0, 0, 0, 1, 0}), "5/21/00");
  EXPECT_EQ(story(), "");
}

TEST_F(ScsiDataTest, SCSI_032_HalfABlockAtTheEndIsNone) {
  medium_.properties.sector_size = 4096;
  medium_.set_sectors(15);
  EXPECT_TRUE(run({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 4096).good);
  EXPECT_EQ(failure({0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0}, 4096), "5/21/00");
}

TEST_F(ScsiDataTest, SCSI_033_AReadOnlyDiskIsLeftAsItIs) {
  for (const bool cdrom : {false, true}) {
    medium_.properties.cdrom = cdrom;
    medium_.properties.read_only = !cdrom;
    medium_.properties.discard = {.supported = true, .granularity = 512};
    EXPECT_EQ(failure({0x0a, 0, 0, 0, 1, 0}), "7/27/00");
    EXPECT_EQ(failure({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0}), "7/27/00");
    EXPECT_EQ(failure({0xaa, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0}), "7/27/00");
    EXPECT_EQ(failure({0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0}), "7/27/00");
    EXPECT_EQ(failure({0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0}), "7/27/00");
    EXPECT_EQ(story(), "");
    EXPECT_TRUE(run({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}).good);
    EXPECT_EQ(story(), "read 0+1");
  }
}

TEST_F(ScsiDataTest, SCSI_034_FuaReachesTheMedium) {
  EXPECT_TRUE(run({0x2a, 8, 0, 0, 0, 4, 0, 0, 1, 0}).good);
  EXPECT_TRUE(run({0x28, 8, 0, 0, 0, 4, 0, 0, 1, 0}).good);
  EXPECT_TRUE(run({0xaa, 8, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0}).good);
  EXPECT_TRUE(run({0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0}).good);
  EXPECT_EQ(story(), "write 4+1, flush, flush, read 4+1, write 4+1, flush, write 4+1, flush");
  EXPECT_TRUE(run({0x2a, 0x10, 0, 0, 0, 4, 0, 0, 1, 0}).good) << "DPO alone";
  EXPECT_EQ(story(), "write 4+1");
  EXPECT_EQ(failure({0x2a, 0x20, 0, 0, 0, 4, 0, 0, 1, 0}), "5/24/00 cdb 1.7") << "WRPROTECT";
}

TEST_F(ScsiDataTest, SCSI_034_AFlushThatFailsFailsTheWrite) {
  medium_.answers = Status::kIoError;
  EXPECT_EQ(failure({0x28, 8, 0, 0, 0, 4, 0, 0, 1, 0}), "3/0c/00");
  EXPECT_EQ(story(), "flush");
}

TEST_F(ScsiDataTest, SCSI_035_TheBuffersLength) {
  EXPECT_EQ(failure({0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0}, 1023), "5/24/00 cdb 7");
  EXPECT_EQ(failure({0x08, 0, 0, 0, 2, 0}, 0), "5/24/00 cdb 4");
  EXPECT_EQ(failure({0xaa, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0}, 512), "5/24/00 cdb 6");
  EXPECT_EQ(failure({0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0}, 512), "5/24/00 cdb 10");
  EXPECT_EQ(story(), "");
  const Outcome more = run({0x28, 0, 0, 0, 0, 1, 0, 0, 2, 0}, 4000);
  EXPECT_EQ(more.transferred, 1024u);
  EXPECT_EQ(more.text(), at(1, 1024));
  EXPECT_EQ(hex(more.data, 1024, 4), "00 00 00 00");
}

TEST_F(ScsiDataTest, SCSI_036_SynchronizeCacheFlushes) {
  EXPECT_TRUE(run({0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0).good);
  EXPECT_EQ(story(), "flush");
  EXPECT_TRUE(run({0x91, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0}, 0).good) << "IMMED";
  EXPECT_EQ(story(), "flush");
  medium_.answers = Status::kIoError;
  EXPECT_EQ(failure({0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0), "3/0c/00");
}

TEST_F(ScsiDataTest, SCSI_037_VerifyChecksItsRange) {
  EXPECT_TRUE(run({0x2f, 0, 0, 0, 0, 0, 0, 8, 0, 0}, 0).good);
  EXPECT_TRUE(run({0xaf, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0}, 0).good);
  EXPECT_TRUE(run({0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0}, 0).good);
  EXPECT_EQ(story(), "flush, flush, flush");
  EXPECT_EQ(failure({0xaf, 0, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0}, 0), "5/21/00");
  EXPECT_EQ(failure({0x2f, 2, 0, 0, 0, 0, 0, 0, 1, 0}), "5/24/00 cdb 1.2") << "BYTCHK";
  EXPECT_EQ(failure({0x2f, 0x20, 0, 0, 0, 0, 0, 0, 1, 0}), "5/24/00 cdb 1.7") << "VRPROTECT";
}

TEST_F(ScsiDataTest, SCSI_038_WhatFailedAndWhy) {
  const auto read = [&] { return failure({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}); };
  const auto write = [&] { return failure({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0}); };
  medium_.answers = Status::kIoError;
  EXPECT_EQ(read(), "3/11/00");
  EXPECT_EQ(write(), "3/0c/00");
  medium_.answers = Status::kReadOnly;
  EXPECT_EQ(write(), "7/27/00");
  medium_.answers = Status::kClosed;
  EXPECT_EQ(read(), "5/25/00");
  medium_.answers = Status::kOk;
  medium_.refuses = Status::kClosed;
  EXPECT_EQ(read(), "5/25/00");
  medium_.refuses = Status::kInvalidArgument;
  EXPECT_EQ(read(), "4/44/00") << "all of it is there, so it is ours";
}

TEST_F(ScsiDataTest, SCSI_038_TheDiskShrankOnTheWay) {
  /// Smaller by the time that it answers.
  struct Shrinking final : xenvbd::Medium {
    explicit Shrinking(xenvbd::ScsiUnit& owner) : unit(owner) {}
    const xenvbd::Disk& disk() const override { return properties; }
    Status submit(xenvbd::Request&) override {
      properties.sectors = 4;
      return Status::kInvalidArgument;
    }
    xenvbd::ScsiUnit& unit;
    xenvbd::Disk properties = plain_disk(8);
  } shrinking(unit_);
  std::vector<std::byte> data(512);
  xenvbd::Segment fragment{{data.data(), 0}, 0, 512};
  const auto cdb = bytes({0x28, 0, 0, 0, 0, 5, 0, 0, 1, 0});
  xenvbd::ScsiCommand command;
  command.cdb = cdb;
  command.data = {&fragment, 1};
  unit_.execute(command, shrinking);
  EXPECT_EQ(sense_text(command.answer.sense), "5/21/00");
}

TEST_F(ScsiDataTest, SCSI_039_BlocksOfBothSizes) {
  for (const uint32_t size : {512u, 4096u}) {
    medium_.properties.sector_size = size;
    const auto data = pattern(size * 2, size);
    EXPECT_EQ(run(bytes({0x2a, 0, 0, 0, 0, 3, 0, 0, 2, 0}), data).transferred, size * 2);
    EXPECT_EQ(hex(medium_.image, size * 3, size * 2), hex(data));
    EXPECT_EQ(run({0x88, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0}, size * 2).data, data);
  }
  EXPECT_EQ(story(), "write 3+2, read 3+2, write 24+16, read 24+16");
}

}  // namespace
}  // namespace ringside::conformance
