#include "protocols/xenvbd/scsi/fragments.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "protocols/xenvbd/scsi/bytes_test.hpp"

namespace ringside::xenvbd {
namespace {

class FragmentsTest : public ::testing::Test {
 protected:
  FragmentsTest() {
    for (size_t i = 0; i < memory_.size(); ++i) memory_[i] = std::byte(i);
  }
  Segment at(uint32_t offset, uint32_t length) {
    return {.page = {memory_.data(), 0}, .offset = offset, .length = length};
  }

  std::vector<std::byte> memory_ = std::vector<std::byte>(32);
  std::vector<Segment> fragments_{at(3, 2), at(0, 0), at(10, 1), at(20, 5)};
};

TEST_F(FragmentsTest, AreReadFromAnywhere) {
  EXPECT_EQ(total_of(fragments_), 8u);
  for (size_t offset = 0; offset <= 9; ++offset) {
    const std::vector<std::byte> all = bytes({3, 4, 10, 20, 21, 22, 23, 24});
    std::vector<std::byte> read(3);
    const size_t there = offset >= 8 ? 0 : std::min<size_t>(3, 8 - offset);
    ASSERT_EQ(copy_from(fragments_, offset, read), there) << offset;
    EXPECT_TRUE(std::equal(read.begin(), read.begin() + static_cast<ptrdiff_t>(there),
                           all.begin() + static_cast<ptrdiff_t>(std::min<size_t>(offset, 8))));
  }
}

TEST_F(FragmentsTest, TakeWhatFits) {
  EXPECT_EQ(copy_to(fragments_, bytes({0xa0, 0xa1, 0xa2, 0xa3})), 4u);
  EXPECT_EQ(hex(memory_, 3, 2) + " " + hex(memory_, 10, 1) + " " + hex(memory_, 20, 2),
            "a0 a1 a2 a3 15");
  EXPECT_EQ(copy_to(fragments_, std::vector<std::byte>(100)), 8u);
  EXPECT_EQ(hex(memory_, 24, 2), "00 19");
}

TEST_F(FragmentsTest, AreCutToFit) {
  const auto cut_ones = cut(fragments_, 5);
  EXPECT_EQ(cut_ones.size(), 4u);
  EXPECT_EQ(total_of(cut_ones), 5u);
  EXPECT_EQ(cut_ones.back().length, 2u);
  EXPECT_EQ(cut(fragments_, 2).size(), 1u);
  EXPECT_TRUE(cut(fragments_, 0).empty());
}

}  // namespace
}  // namespace ringside::xenvbd
