#include "protocols/xenvbd/scsi/sense.hpp"

#include <gtest/gtest.h>

#include "protocols/xenvbd/scsi/bytes_test.hpp"

namespace ringside::xenvbd {
namespace {

TEST(SenseTest, IsOfTheFixedFormat) {
  EXPECT_EQ(hex(kCapacityChanged.bytes()), "70 00 06 00 00 00 00 0a 00 00 00 00 2a 09 00 00 00 00");
  EXPECT_EQ(hex(Sense{}.bytes()), "70 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 00 00 00");
}

TEST(SenseTest, PointsAtWhatIsWrong) {
  EXPECT_EQ(hex(invalid_cdb(2).bytes()), "70 00 05 00 00 00 00 0a 00 00 00 00 24 00 00 c0 00 02");
  EXPECT_EQ(hex(invalid_cdb(1, 7).bytes()),
            "70 00 05 00 00 00 00 0a 00 00 00 00 24 00 00 cf 00 01");
  EXPECT_EQ(hex(invalid_parameter(0x102, 0).bytes()),
            "70 00 05 00 00 00 00 0a 00 00 00 00 26 00 00 88 01 02");
}

}  // namespace
}  // namespace ringside::xenvbd
