#include "conformance/scsi/unit_rig.hpp"

namespace ringside::conformance {
namespace {

class ScsiUnitTest : public UnitRig {};

TEST_F(ScsiUnitTest, SCSI_001_WhatItDoesNotKnowIsAnInvalidOpcode) {
  unsigned known = 0;
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    std::vector<std::byte> cdb(16);
    cdb[0] = std::byte(opcode);
    medium_.properties.discard = {.supported = true, .granularity = 512};
    const Outcome outcome = run(cdb, std::vector<std::byte>(512 * 256));
    const bool unknown = !outcome.good && outcome.sense == "5/20/00";
    known += unknown ? 0 : 1;
  }
  EXPECT_EQ(known, 30u);
}

TEST_F(ScsiUnitTest, SCSI_002_SenseDataIsOfTheFixedFormat) {
  std::vector<std::byte> cdb = bytes({0x28, 0, 0, 0, 8, 0, 0, 0, 1, 0});
  xenvbd::ScsiCommand command;
  command.cdb = cdb;
  unit_.execute(command, medium_);
  EXPECT_EQ(command.answer.status, xenvbd::ScsiStatus::kCheckCondition);
  EXPECT_EQ(hex(command.answer.sense.bytes()),
            "70 00 05 00 00 00 00 0a 00 00 00 00 21 00 00 00 00 00");
}

TEST_F(ScsiUnitTest, SCSI_003_EveryCdbThatIsCutShortIsRefused) {
  for (const unsigned opcode : {0x00u, 0x12u, 0x28u, 0x42u, 0xa8u, 0x88u, 0x9eu}) {
    std::vector<std::byte> cdb(16);
    cdb[0] = std::byte(opcode);
    const size_t whole = xenvbd::Cdb(cdb).length();
    for (size_t length = opcode == 0 ? 0 : 1; length < whole; ++length) {
      // A copy of the exact size, so that a sanitizer sees one byte too many.
      const std::vector<std::byte> prefix(cdb.begin(), cdb.begin() + static_cast<long>(length));
      EXPECT_EQ(run(prefix, {}).sense, "5/24/00 cdb " + std::to_string(length));
    }
  }
}

TEST_F(ScsiUnitTest, SCSI_003_NacaIsNotSupported) {
  EXPECT_EQ(failure({0x00, 0, 0, 0, 0, 4}), "5/24/00 cdb 5.2");
  EXPECT_EQ(failure({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 4}), "5/24/00 cdb 9.2");
  EXPECT_EQ(failure({0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4}), "5/24/00 cdb 15.2");
  EXPECT_EQ(failure({0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4}), "5/24/00 cdb 11.2");
}

TEST_F(ScsiUnitTest, SCSI_004_ThereIsNoOtherUnit) {
  const Outcome inquiry = run({0x12, 0, 0, 0, 36, 0}, 64, 1);
  ASSERT_TRUE(inquiry.good);
  EXPECT_EQ(inquiry.text().substr(0, 2), "7f");
  EXPECT_EQ(run({0x03, 0, 0, 0, 18, 0}, 64, 1).text(),
            "70 00 05 00 00 00 00 0a 00 00 00 00 25 00 00 00 00 00");
  EXPECT_EQ(run({0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0}, 64, 1).transferred, 16u);
  EXPECT_EQ(failure({0x12, 1, 0, 0, 36, 0}, 64, 1), "5/25/00");
  EXPECT_EQ(failure({0x00, 0, 0, 0, 0, 0}, 64, 1), "5/25/00");
  EXPECT_EQ(failure({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 512, 255), "5/25/00");
  EXPECT_EQ(failure({0xff, 0, 0, 0, 0, 0}, 64, 1), "5/25/00");
  EXPECT_EQ(story(), "");
}

TEST_F(ScsiUnitTest, SCSI_005_AResizeIsToldOnce) {
  for (const uint64_t sectors : {4096u, 1024u}) {
    medium_.set_sectors(sectors);
    show();
    EXPECT_TRUE(run({0x12, 0, 0, 0, 36, 0}).good);
    EXPECT_TRUE(run({0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0}).good);
    EXPECT_EQ(failure({0x00, 0, 0, 0, 0, 0}, 0, 1), "5/25/00") << "not this unit's";
    EXPECT_EQ(failure({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}), "6/2a/09");
    EXPECT_TRUE(run({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}).good);
    show();
    EXPECT_TRUE(run({0x00, 0, 0, 0, 0, 0}).good) << "nothing has changed";
  }
  EXPECT_EQ(story(), "read 0+1, read 0+1");
}

TEST_F(ScsiUnitTest, SCSI_005_SCSI_008_RequestSenseTakesTheUnitAttention) {
  medium_.set_sectors(4096);
  show();
  EXPECT_EQ(run({0x03, 0, 0, 0, 18, 0}).text(),
            "70 00 06 00 00 00 00 0a 00 00 00 00 2a 09 00 00 00 00");
  EXPECT_EQ(run({0x03, 0, 0, 0, 18, 0}).text(),
            "70 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 00 00 00");
  EXPECT_TRUE(run({0x00, 0, 0, 0, 0, 0}).good);
}

TEST_F(ScsiUnitTest, SCSI_008_SenseDataGoesWithTheCommandThatFailed) {
  EXPECT_EQ(failure({0xff, 0, 0, 0, 0, 0}), "5/20/00");
  EXPECT_EQ(hex(run({0x03, 0, 0, 0, 18, 0}).data, 2, 1), "00");
  EXPECT_EQ(failure({0x03, 1, 0, 0, 18, 0}), "5/24/00 cdb 1.0") << "DESC";
}

TEST_F(ScsiUnitTest, SCSI_006_BeforeItsDiskIsThere) {
  xenvbd::ScsiUnit unit(7, *this);
  PlayedMedium medium(unit);
  medium.properties = {};
  const auto ends = [&](std::initializer_list<unsigned> values) {
    const auto cdb = bytes(values);
    std::vector<std::byte> data(64);
    xenvbd::Segment fragment{{data.data(), 0}, 0, 64};
    xenvbd::ScsiCommand command;
    command.cdb = cdb;
    command.data = {&fragment, 1};
    unit.execute(command, medium);
    const bool good = command.answer.status == xenvbd::ScsiStatus::kGood;
    return good ? hex(data, 0, 3) : sense_text(command.answer.sense);
  };
  EXPECT_EQ(ends({0x12, 0, 0, 0, 36, 0}), "20 00 06") << "not connected";
  EXPECT_EQ(ends({0x03, 0, 0, 0, 18, 0}), "70 00 02");
  for (const unsigned opcode : {0x00u, 0x1au, 0x1bu}) {
    EXPECT_EQ(ends({opcode, 0, 0x3f, 0, 0, 0}), "2/04/01") << opcode;
  }
  EXPECT_EQ(ends({0x12, 1, 0x80, 0, 36, 0}), "2/04/01") << "who it is comes with the disk";
  unit.disk_changed(plain_disk(16));
  medium.set_sectors(16);
  EXPECT_EQ(ends({0x00, 0, 0, 0, 0, 0}), "00 00 00") << "the first one is no change";
}

TEST_F(ScsiUnitTest, SCSI_006_ADiskOfNoBlocksIsAnEmptyDrive) {
  medium_.set_sectors(0);
  show();
  EXPECT_EQ(failure({0x00, 0, 0, 0, 0, 0}), "6/2a/09");
  for (const unsigned opcode : {0x00u, 0x25u, 0x28u, 0x35u, 0x2fu}) {
    EXPECT_EQ(failure({opcode, 0, 0, 0, 0, 0, 0, 0, 1, 0}), "2/3a/00") << opcode;
  }
  EXPECT_EQ(hex(run({0x03, 0, 0, 0, 18, 0}).data, 2, 1), "02");
  EXPECT_TRUE(run({0x1a, 0, 0x3f, 0, 255, 0}).good) << "the drive itself is there";
  medium_.set_sectors(2048);
  show();
  EXPECT_EQ(failure({0x00, 0, 0, 0, 0, 0}), "6/28/00");
}

TEST_F(ScsiUnitTest, SCSI_007_DataIsCutToAnyLength) {
  const std::initializer_list<std::vector<std::byte>> cdbs = {
      bytes({0x12, 0, 0, 0, 0, 0}), bytes({0x12, 1, 0x83, 0, 0, 0}),
      bytes({0x1a, 0, 0x3f, 0, 0, 0}), bytes({0x03, 0, 0, 0, 0, 0})};
  for (std::vector<std::byte> cdb : cdbs) {
    cdb[4] = std::byte{255};
    const Outcome whole = run(cdb, std::vector<std::byte>(300));
    for (size_t room = 0; room <= whole.transferred + 1; ++room) {
      const size_t expected = std::min<size_t>(room, whole.transferred);
      cdb[4] = std::byte(room);
      const Outcome allocated = run(cdb, std::vector<std::byte>(300));
      EXPECT_EQ(allocated.transferred, expected);
      EXPECT_EQ(allocated.text(), hex(std::span(whole.data).first(expected)));
      EXPECT_EQ(hex(std::span(allocated.data).subspan(expected)),
                hex(std::vector<std::byte>(300 - expected)));
      cdb[4] = std::byte{255};
      EXPECT_EQ(run(cdb, std::vector<std::byte>(room)).transferred, expected) << "the buffer's end";
    }
  }
}

TEST_F(ScsiUnitTest, SCSI_022_ThereIsUnit0) {
  EXPECT_EQ(run({0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}).text(),
            "00 00 00 08 00 00 00 00 00 00 00 00 00 00 00 00");
  EXPECT_EQ(run({0xa0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0}).transferred, 16u);
  EXPECT_EQ(run({0xa0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0}).text(), "00 00 00 00 00 00 00 00");
  EXPECT_EQ(failure({0xa0, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0}), "5/24/00 cdb 2");
}

TEST_F(ScsiUnitTest, SCSI_020_CapacityIn32Bits) {
  EXPECT_EQ(run({0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}).text(), "00 00 07 ff 00 00 02 00");
  medium_.set_sectors(0x100000000);
  EXPECT_EQ(run({0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}).text(), "ff ff ff ff 00 00 02 00");
  medium_.properties.sector_size = 4096;
  EXPECT_EQ(run({0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}).text(), "1f ff ff ff 00 00 10 00");
}

TEST_F(ScsiUnitTest, SCSI_021_CapacityIn64Bits) {
  medium_.set_sectors(0x200000000);
  medium_.properties.physical_sector_size = 4096;
  medium_.properties.discard.supported = true;
  EXPECT_EQ(run({0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0}).text(),
            "00 00 00 01 ff ff ff ff 00 00 02 00 00 03 80 00 00 00 00 00 00 00 00 00 "
            "00 00 00 00 00 00 00 00");
  EXPECT_EQ(run({0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0}).transferred, 12u);
  EXPECT_EQ(failure({0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0}), "5/24/00 cdb 1.4");
}

TEST_F(ScsiUnitTest, SCSI_060_ReservationsForOneself) {
  for (const unsigned opcode : {0x16u, 0x17u, 0x56u, 0x57u}) {
    EXPECT_TRUE(run({opcode, 0, 0, 0, 0, 0, 0, 0, 0, 0}).good);
    EXPECT_EQ(failure({opcode, 0x10, 0, 0, 0, 0, 0, 0, 0, 0}), "5/24/00 cdb 1.4");
    EXPECT_EQ(failure({opcode, 0x01, 0, 0, 0, 0, 0, 0, 0, 0}), "5/24/00 cdb 1.0");
  }
  EXPECT_EQ(story(), "");
}

TEST_F(ScsiUnitTest, SCSI_061_StoppingFlushes) {
  EXPECT_TRUE(run({0x1b, 0, 0, 0, 1, 0}).good);
  EXPECT_TRUE(run({0x1b, 0, 0, 0, 3, 0}).good) << "loads what is loaded";
  EXPECT_TRUE(run({0x1b, 0, 0, 0, 4, 0}).good) << "NO_FLUSH";
  EXPECT_EQ(story(), "");
  EXPECT_TRUE(run({0x1b, 0, 0, 0, 0, 0}).good);
  EXPECT_EQ(story(), "flush");
  EXPECT_EQ(failure({0x1b, 0, 0, 0, 0x30, 0}), "5/24/00 cdb 4.7") << "STANDBY";
}

TEST_F(ScsiUnitTest, SCSI_061_NothingIsEjected) {
  EXPECT_EQ(failure({0x1b, 0, 0, 0, 2, 0}), "5/24/00 cdb 4.1");
  EXPECT_TRUE(run({0x1e, 0, 0, 0, 1, 0}).good);
  EXPECT_EQ(failure({0x1b, 0, 0, 0, 2, 0}), "5/53/02");
  EXPECT_TRUE(run({0x1e, 0, 0, 0, 0, 0}).good);
  EXPECT_EQ(failure({0x1b, 0, 0, 0, 2, 0}), "5/24/00 cdb 4.1");
  EXPECT_EQ(failure({0x1e, 0, 0, 0, 2, 0}), "5/24/00 cdb 4.1");
}

}  // namespace
}  // namespace ringside::conformance
