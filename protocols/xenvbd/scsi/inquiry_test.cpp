#include "protocols/xenvbd/scsi/inquiry.hpp"

#include <gtest/gtest.h>

#include "protocols/xenvbd/scsi/bytes_test.hpp"

namespace ringside::xenvbd {
namespace {

Disk disk_of(uint64_t sectors) {
  Disk disk;
  disk.sectors = sectors;
  return disk;
}

TEST(InquiryTest, StandardDataIsAsLongAsItSays) {
  EXPECT_EQ(hex(standard_inquiry(Peripheral::kDirectAccess, Disk{}).view()),
            "00 00 06 02 45 00 00 02 58 45 4e 53 52 43 20 20 50 56 44 49 53 4b 20 20 "
            "20 20 20 20 20 20 20 20 32 2e 30 20 00 00 00 00 00 00 00 00 00 00 00 00 "
            "00 00 00 00 00 00 00 00 00 00 00 a0 04 60 04 c0 00 00 00 00 00 00 00 00 "
            "00 00");
  Disk disk;
  disk.removable = true;
  EXPECT_EQ(hex(standard_inquiry(Peripheral::kNoUnit, disk).view(), 0, 2), "7f 80");
}

TEST(InquiryTest, ListsItsPages) {
  EXPECT_EQ(hex(vital_product_data(0, Disk{}).view()), "00 00 00 06 00 80 83 b0 b1 b2");
  EXPECT_EQ(vital_product_data(0x86, Disk{}).size(), 0u);
}

TEST(InquiryTest, BlockLimitsSayWhatCanBeUnmapped) {
  Disk disk = disk_of(1 << 20);
  disk.physical_sector_size = 4096;
  EXPECT_EQ(hex(vital_product_data(0xb0, disk).view(), 0, 36),
            "00 b0 00 3c 00 00 00 08 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
            "00 00 00 00 00 00 00 00 00 00 00 00");
  EXPECT_EQ(hex(vital_product_data(0xb2, disk).view()), "00 b2 00 04 00 00 00 00");
  disk.discard = {.supported = true, .granularity = 65536, .alignment = 66048};
  EXPECT_EQ(hex(vital_product_data(0xb0, disk).view(), 20, 16),
            "ff ff ff ff 00 00 01 00 00 00 00 80 80 00 00 01");
  EXPECT_EQ(vital_product_data(0xb0, disk).size(), 64u);
  EXPECT_EQ(hex(vital_product_data(0xb2, disk).view()), "00 b2 00 04 00 80 02 00");
}

TEST(InquiryTest, NothingTurns) {
  const Reply page = vital_product_data(0xb1, Disk{});
  EXPECT_EQ(page.size(), 64u);
  EXPECT_EQ(hex(page.view(), 0, 8), "00 b1 00 3c 00 01 00 00");
}

TEST(CapacityTest, Ten) {
  EXPECT_EQ(hex(capacity10(disk_of(2048)).view()), "00 00 07 ff 00 00 02 00");
  EXPECT_EQ(hex(capacity10(disk_of(0xffffffff)).view()), "ff ff ff fe 00 00 02 00");
  EXPECT_EQ(hex(capacity10(disk_of(0x100000000)).view()), "ff ff ff ff 00 00 02 00");
  EXPECT_EQ(hex(capacity10(disk_of(0x5000000000)).view()), "ff ff ff ff 00 00 02 00");
}

TEST(CapacityTest, Sixteen) {
  Disk disk = disk_of(0x5000000000);
  disk.physical_sector_size = 4096;
  EXPECT_EQ(hex(capacity16(disk).view()),
            "00 00 00 4f ff ff ff ff 00 00 02 00 00 03 00 00 00 00 00 00 00 00 00 00 "
            "00 00 00 00 00 00 00 00");
  disk.sector_size = 4096;
  disk.discard.supported = true;
  EXPECT_EQ(hex(capacity16(disk).view(), 0, 16), "00 00 00 09 ff ff ff ff 00 00 10 00 00 00 80 00");
}

TEST(CapacityTest, AnOddPhysicalBlockCannotBeSaid) {
  Disk disk;
  disk.physical_sector_size = 1536;
  EXPECT_EQ(physical_exponent(disk), 0u);
}

// A disk may end within a block: that is none.
TEST(CapacityTest, CountsWholeBlocks) {
  Disk disk = disk_of(15);
  disk.sector_size = 4096;
  EXPECT_EQ(blocks_of(disk), 1u);
}

}  // namespace
}  // namespace ringside::xenvbd
