#include "conformance/blkif/fake_services.hpp"
#include "conformance/scsi/unit_rig.hpp"

namespace ringside::conformance {
namespace {

class ScsiInquiryTest : public UnitRig {};

TEST_F(ScsiInquiryTest, SCSI_010_StandardData) {
  const Outcome outcome = run({0x12, 0, 0, 0, 255, 0});
  ASSERT_TRUE(outcome.good);
  EXPECT_EQ(outcome.transferred, 74u);
  EXPECT_EQ(outcome.text().substr(0, 36 * 3 - 1),
            "00 00 06 02 45 00 00 02 58 45 4e 53 52 43 20 20 50 56 44 49 53 4b 20 20 "
            "20 20 20 20 20 20 20 20 32 2e 30 20");
}

TEST_F(ScsiInquiryTest, SCSI_010_ACdromIsARemovableDisk) {
  medium_.properties.cdrom = true;
  EXPECT_EQ(run({0x12, 0, 0, 0, 2, 0}).text(), "00 80");
  medium_.properties = plain_disk(8);
  medium_.properties.removable = true;
  EXPECT_EQ(run({0x12, 0, 0, 0, 2, 0}).text(), "00 80");
}

TEST_F(ScsiInquiryTest, SCSI_011_EveryPageListedIsThereAndNoOther) {
  const Outcome list = run({0x12, 1, 0, 0, 255, 0});
  EXPECT_EQ(list.text(), "00 00 00 06 00 80 83 b0 b1 b2");
  for (unsigned page = 0; page < 256; ++page) {
    const bool listed = std::find(list.data.begin() + 4, list.data.begin() + 10, std::byte(page)) !=
                        list.data.begin() + 10;
    const Outcome outcome = run({0x12, 1, page, 1, 0, 0});
    EXPECT_EQ(outcome.good, listed) << page;
    if (!listed) {
      EXPECT_EQ(outcome.sense, "5/24/00 cdb 2");
      continue;
    }
    EXPECT_EQ(outcome.data[1], std::byte(page));
    EXPECT_EQ(outcome.transferred, 4 + xenvbd::load_big(std::span(outcome.data).subspan(2, 2)));
  }
  EXPECT_EQ(failure({0x12, 0, 0x80, 0, 255, 0}), "5/24/00 cdb 2") << "no EVPD";
  EXPECT_EQ(failure({0x12, 2, 0, 0, 255, 0}), "5/24/00 cdb 1.1") << "CMDDT";
}

TEST_F(ScsiInquiryTest, SCSI_013_TheLimitsAreTheDisks) {
  EXPECT_EQ(hex(run({0x12, 1, 0xb0, 0, 255, 0}).data, 20, 16),
            "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
  EXPECT_EQ(run({0x12, 1, 0xb2, 0, 255, 0}).text(), "00 b2 00 04 00 00 00 00");
  medium_.properties.sector_size = medium_.properties.physical_sector_size = 4096;
  medium_.properties.discard = {.supported = true, .granularity = 1 << 20, .alignment = 8192};
  const Outcome limits = run({0x12, 1, 0xb0, 0, 255, 0});
  EXPECT_EQ(hex(limits.data, 4, 4), "00 00 00 01");
  EXPECT_EQ(hex(limits.data, 20, 16), "ff ff ff ff 00 00 01 00 00 00 01 00 80 00 00 02");
  EXPECT_EQ(run({0x12, 1, 0xb2, 0, 255, 0}).text(), "00 b2 00 04 00 80 02 00");
  EXPECT_EQ(hex(run({0x12, 1, 0xb1, 0, 255, 0}).data, 0, 6), "00 b1 00 3c 00 01");
}

/// A unit that has not been shown yet, and the store that its back end writes.
class ScsiIdentityTest : public UnitRig {
 protected:
  static constexpr const char* kSerial = "be/sm-data/scsi/0x12/0x80";
  static constexpr const char* kDesignators = "be/sm-data/scsi/0x12/0x83";
  static constexpr const char* kOwnSerial = "00 80 00 04 30 30 30 33";

  /// The page that a fresh unit has behind what the store says now.
  std::string page(unsigned code) {
    xenvbd::ScsiUnit unit(3, *this);
    EXPECT_EQ(unit.identify({store_, xenbus::kNoTransaction, "be"}), Status::kOk);
    unit.disk_changed(medium_.properties);
    return page_of(unit, code);
  }
  std::string page_of(xenvbd::ScsiUnit& unit, unsigned code) {
    std::vector<std::byte> data(600);
    xenvbd::Segment fragment{{data.data(), 0}, 0, 600};
    xenvbd::ScsiCommand command;
    const auto cdb = bytes({0x12, 1, code, 4, 0, 0});
    command.cdb = cdb;
    command.data = {&fragment, 1};
    unit.execute(command, medium_);
    EXPECT_EQ(command.answer.status, xenvbd::ScsiStatus::kGood);
    return hex(std::span(data).first(command.answer.transferred));
  }

  FakePlatform platform_;
  FakeStore store_{platform_};
};

// The pages as XAPI's storage manager makes them.
TEST_F(ScsiIdentityTest, SCSI_012_TheBackEndsPagesAreShown) {
  EXPECT_EQ(page(0x80), kOwnSerial);
  store_.nodes[kSerial] = "AIAAEjRjOGRhN2E1LTljMzAtNDggIA==\n";
  EXPECT_EQ(page(0x80), "00 80 00 12 34 63 38 64 61 37 61 35 2d 39 63 33 30 2d 34 38 20 20");
  store_.nodes[kDesignators] = "fIMAFAIBABBYRU5TUkMgIDAxMjM0NTY3";
  EXPECT_EQ(page(0x83), "00 83 00 14 02 01 00 10 58 45 4e 53 52 43 20 20 30 31 32 33 34 35 36 37");
}

TEST_F(ScsiIdentityTest, SCSI_012_WhatIsNoPageIsAsIfNotThere) {
  const std::string own_designators = page(0x83);
  // No base64, too short, another page, longer than it is.
  for (const char* text : {"", "%%%%", "AIAA", "AIMAATE=", "AIAABTE=", "AIAAEjRj"}) {
    store_.nodes[kSerial] = text;
    EXPECT_EQ(page(0x80), kOwnSerial) << text;
  }
  store_.nodes[kSerial] = std::string(4000, 'A');
  EXPECT_EQ(page(0x80), kOwnSerial) << "longer than any page may be";
  store_.nodes[kDesignators] = "AIMAFAIBABFYRU5TUkMgIDAxMjM0NTY3";
  EXPECT_EQ(page(0x83), own_designators) << "a designator that is longer than its page";
  store_.nodes[kDesignators] = "AIMAAgIB";
  EXPECT_EQ(page(0x83), own_designators) << "half a designator";
}

TEST_F(ScsiIdentityTest, SCSI_012_WhatIsBehindThePageIsLeftOut) {
  store_.nodes[kSerial] = "AIAAAUFCQ0Q=";
  EXPECT_EQ(page(0x80), "00 80 00 01 41");
}

TEST_F(ScsiIdentityTest, SCSI_012_WhatCannotBeReadIsNotAbsent) {
  for (const char* node : {kSerial, kDesignators}) {
    store_.unreadable = node;
    xenvbd::ScsiUnit unit(3, *this);
    EXPECT_EQ(unit.identify({store_, xenbus::kNoTransaction, "be"}), Status::kNoMemory);
  }
}

TEST_F(ScsiIdentityTest, SCSI_012_ABackEndThatWasNotConnectedToIsForgotten) {
  xenvbd::ScsiUnit unit(3, *this);
  store_.nodes[kSerial] = "AIAAATE=";
  EXPECT_EQ(unit.identify({store_, xenbus::kNoTransaction, "be"}), Status::kOk);
  EXPECT_EQ(unit.identify({store_, xenbus::kNoTransaction, "other"}), Status::kOk);
  unit.disk_changed(medium_.properties);
  EXPECT_EQ(page_of(unit, 0x80), kOwnSerial);
}

TEST_F(ScsiIdentityTest, SCSI_012_ADiskThatIsShownDoesNotBecomeAnother) {
  store_.nodes[kSerial] = "AIAAATE=";
  EXPECT_EQ(unit_.identify({store_, xenbus::kNoTransaction, "be"}), Status::kOk);
  EXPECT_EQ(page_of(unit_, 0x80), "00 80 00 04 30 30 30 37");
}

}  // namespace
}  // namespace ringside::conformance
