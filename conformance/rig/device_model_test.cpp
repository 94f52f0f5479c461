#include "conformance/rig/device_model.hpp"

#include <gtest/gtest.h>

#include "conformance/replay/iolog.hpp"

namespace ringside::conformance {
namespace {

std::vector<std::byte> pattern(uint64_t offset, size_t bytes, uint64_t sequence) {
  std::vector<std::byte> data(bytes);
  fill_pattern(data, /*seed=*/1, offset, sequence);
  return data;
}

TEST(DeviceModelTest, RemembersTheLastWriteOfEachSector) {
  DeviceModel model(8 * kSectorSize);
  model.write(512, pattern(512, 1024, 1));
  model.write(1024, pattern(1024, 512, 2));
  std::vector<std::byte> expected(4 * kSectorSize);
  fill_pattern(std::span(expected).subspan(512, 512), 1, 512, 1);
  fill_pattern(std::span(expected).subspan(1024, 512), 1, 1024, 2);
  EXPECT_FALSE(model.mismatch(0, expected).has_value());
  fill_pattern(std::span(expected).subspan(1024, 512), 1, 1024, 1);
  EXPECT_EQ(model.mismatch(0, expected), 1024u);
}

TEST(DeviceModelTest, OneWrongBitIsAMismatch) {
  DeviceModel model(2 * kSectorSize);
  auto data = pattern(0, 1024, 1);
  model.write(0, data);
  data.back() ^= std::byte{0x80};
  EXPECT_EQ(model.mismatch(0, data), 512u);
}

TEST(DeviceModelTest, ForgottenSectorsMayHoldAnythingUntilWritten) {
  DeviceModel model(2 * kSectorSize);
  const auto data = pattern(0, 1024, 1);
  EXPECT_EQ(model.mismatch(0, data), 0u);
  model.forget(0, 1024);
  EXPECT_FALSE(model.mismatch(0, data).has_value());
  model.write(0, pattern(0, 512, 9));
  EXPECT_EQ(model.mismatch(0, data), 0u);
}

TEST(DeviceModelTest, APatternTellsItsPlaceAndItsWrite) {
  const auto data = pattern(5 * kSectorSize, 512, 42);
  EXPECT_EQ(describe_sector(data), "the data of write 42 to sector 5");
  EXPECT_NE(pattern(0, 512, 1), pattern(512, 512, 1));
  EXPECT_NE(pattern(0, 512, 1), pattern(0, 512, 2));
}

}  // namespace
}  // namespace ringside::conformance
