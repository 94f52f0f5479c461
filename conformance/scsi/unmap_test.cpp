#include "conformance/scsi/unit_rig.hpp"

namespace ringside::conformance {
namespace {

class ScsiUnmapTest : public UnitRig {
 protected:
  struct Blocks {
    uint64_t lba;
    uint32_t count;
  };

  ScsiUnmapTest() { medium_.properties.discard = {.supported = true, .granularity = 4096}; }
  static std::vector<std::byte> list(const std::vector<Blocks>& extents) {
    std::vector<std::byte> all(8 + 16 * extents.size());
    xenvbd::store_big(std::span(all).subspan(0, 2), all.size() - 2);
    xenvbd::store_big(std::span(all).subspan(2, 2), all.size() - 8);
    for (size_t i = 0; i < extents.size(); ++i) {
      xenvbd::store_big(std::span(all).subspan(8 + 16 * i, 8), extents[i].lba);
      xenvbd::store_big(std::span(all).subspan(16 + 16 * i, 4), extents[i].count);
    }
    return all;
  }
  Outcome unmap_list(const std::vector<std::byte>& parameters) {
    const auto length = static_cast<unsigned>(parameters.size());
    return run(bytes({0x42, 0, 0, 0, 0, 0, 0, length >> 8, length & 0xff, 0}), parameters);
  }
  Outcome unmap(const std::vector<Blocks>& extents) { return unmap_list(list(extents)); }
};

TEST_F(ScsiUnmapTest, SCSI_040_NothingToUnmapIsNoWork) {
  EXPECT_TRUE(run({0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0).good) << "no list";
  EXPECT_TRUE(unmap({}).good) << "no descriptor";
  EXPECT_TRUE(unmap({{0, 0}, {2048, 0}}).good) << "no blocks";
  EXPECT_EQ(story(), "");
}

TEST_F(ScsiUnmapTest, SCSI_040_AListThatIsCutShort) {
  const auto whole = list({{8, 8}});
  for (size_t length = 1; length < whole.size(); ++length) {
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<long>(length));
    EXPECT_EQ(unmap_list(cut).sense, length < 8 ? "5/1a/00" : "5/26/00 list 2") << length;
  }
  EXPECT_EQ(failure({0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0}, 23), "5/1a/00") << "nor is it there";
  EXPECT_EQ(story(), "");
  auto half = list({{8, 8}, {24, 8}});
  half[3] = std::byte{31};  // the second descriptor is not whole, and is left out
  EXPECT_TRUE(unmap_list(half).good);
  EXPECT_EQ(story(), "discard 8+8");
}

TEST_F(ScsiUnmapTest, SCSI_041_AllIsCheckedBeforeAnyIsGone) {
  EXPECT_EQ(unmap({{0, 8}, {16, 8}, {2047, 2}}).sense, "5/21/00");
  EXPECT_EQ(unmap({{~uint64_t{0}, 0xffffffff}}).sense, "5/21/00");
  EXPECT_EQ(unmap(std::vector<Blocks>(257, {0, 8})).sense, "5/26/00 list 2");
  EXPECT_EQ(failure({0x42, 1, 0, 0, 0, 0, 0, 0, 24, 0}), "5/24/00 cdb 1.0") << "ANCHOR";
  EXPECT_EQ(story(), "");
  EXPECT_TRUE(unmap(std::vector<Blocks>(256, {0, 8})).good);
  EXPECT_EQ(medium_.seen.size(), 256u);
}

TEST_F(ScsiUnmapTest, SCSI_042_NeighboursGoTogether) {
  const Outcome outcome = unmap({{4, 4}, {8, 4}, {0, 0}, {12, 100}, {200, 8}, {0, 4}});
  EXPECT_TRUE(outcome.good);
  EXPECT_EQ(outcome.transferred, 8u + 6 * 16);
  EXPECT_EQ(story(), "discard 4+108, discard 200+8, discard 0+4");
  medium_.properties.sector_size = 4096;
  EXPECT_TRUE(unmap({{4, 4}, {8, 4}}).good);
  EXPECT_EQ(story(), "discard 32+64");
}

TEST_F(ScsiUnmapTest, SCSI_043_WhereItIsNotOfferedItIsNotThere) {
  medium_.properties.discard = {};
  EXPECT_EQ(unmap({{0, 8}}).sense, "5/20/00");
  EXPECT_EQ(unmap({}).sense, "5/20/00");
}

TEST_F(ScsiUnmapTest, SCSI_044_WhatTurnsOutNotToBeSupportedIsDone) {
  medium_.answers = Status::kNotSupported;
  EXPECT_TRUE(unmap({{0, 8}, {16, 8}}).good);
  EXPECT_EQ(story(), "discard 0+8") << "and not tried again";
  medium_.answers = Status::kIoError;
  EXPECT_EQ(unmap({{0, 8}, {16, 8}}).sense, "3/0c/00");
  EXPECT_EQ(story(), "discard 0+8");
}

}  // namespace
}  // namespace ringside::conformance
