#include "protocols/xenvbd/scsi/mode.hpp"

#include <gtest/gtest.h>

#include <string>

#include "protocols/xenvbd/scsi/bytes_test.hpp"

namespace ringside::xenvbd {
namespace {

constexpr ModeState kState{.blocks = 2048, .volatile_cache = true};
constexpr const char* kCaching = "08 12 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00";
constexpr const char* kExceptions = "1c 0a 08 00 00 00 00 00 00 00 00 00";

Cdb cdb(std::initializer_list<unsigned> values) { return Cdb(bytes(values)); }

std::string sensed(const Cdb& command, const ModeState& state = kState) {
  Reply reply;
  const auto wrong = mode_sense(command, state, reply);
  return wrong ? "sense " + hex(wrong->bytes(), 12, 6) : hex(reply.view());
}

TEST(ModeSenseTest, Six) {
  EXPECT_EQ(sensed(cdb({0x1a, 0, 0x3f, 0, 255, 0})),
            std::string("2b 00 10 08 00 00 08 00 00 00 02 00 ") + kCaching + " " + kExceptions);
  EXPECT_EQ(sensed(cdb({0x1a, 8, 0x08, 0, 255, 0})), std::string("17 00 10 00 ") + kCaching);
}

TEST(ModeSenseTest, Ten) {
  EXPECT_EQ(sensed(cdb({0x5a, 0, 0x1c, 0, 0, 0, 0, 0, 255, 0})),
            std::string("00 1a 00 10 00 00 00 08 00 00 08 00 00 00 02 00 ") + kExceptions);
  EXPECT_EQ(sensed(cdb({0x5a, 8, 0x3f, 0xff, 0, 0, 0, 0, 255, 0})),
            std::string("00 26 00 10 00 00 00 00 ") + kCaching + " " + kExceptions);
}

TEST(ModeSenseTest, ShowsWhatCanBeChanged) {
  EXPECT_EQ(sensed(cdb({0x1a, 8, 0x48, 0, 255, 0})), std::string("17 00 10 00 ") + kCaching);
  EXPECT_EQ(sensed(cdb({0x1a, 8, 0x5c, 0, 255, 0})),
            "0f 00 10 00 1c 0a 00 00 00 00 00 00 00 00 00 00");
}

TEST(ModeSenseTest, ALargeDiskHasTooManyBlocksToSay) {
  ModeState state = kState;
  state.blocks = uint64_t{1} << 33;
  state.block_size = 4096;
  EXPECT_EQ(sensed(cdb({0x1a, 0, 0x1c, 0, 255, 0}), state).substr(12, 23),
            "ff ff ff ff 00 00 10 00");
}

TEST(ModeSenseTest, RefusesWhatIsNotThere) {
  EXPECT_EQ(sensed(cdb({0x1a, 0, 0x0a, 0, 255, 0})), "sense 24 00 00 cd 00 02");
  EXPECT_EQ(sensed(cdb({0x1a, 0, 0x08, 1, 255, 0})), "sense 24 00 00 c0 00 03");
  EXPECT_EQ(sensed(cdb({0x1a, 0, 0xff, 0, 255, 0})), "sense 39 00 00 00 00 00");
}

/// Selects `list` with MODE SELECT (6) in `state`; "" or the sense data's end.
std::string selected(const std::vector<std::byte>& list, ModeState& state, unsigned flags = 0x10) {
  const auto command = cdb({0x15, flags, 0, 0, static_cast<unsigned>(list.size()), 0});
  const auto wrong = mode_select(command, list, state);
  return wrong ? hex(wrong->bytes(), 12, 6) : "";
}

std::vector<std::byte> caching(unsigned flags) {
  auto list = bytes({0, 0, 0, 0, 8, 0x12, flags});
  list.resize(24);
  return list;
}

TEST(ModeSelectTest, SwitchesTheCache) {
  ModeState state = kState;
  EXPECT_EQ(selected(caching(0), state), "");
  EXPECT_TRUE(state.write_through);
  EXPECT_EQ(sensed(cdb({0x1a, 8, 8, 0, 255, 0}), state).substr(18, 2), "00");
  EXPECT_EQ(selected(caching(4), state), "");
  EXPECT_FALSE(state.write_through);
}

TEST(ModeSelectTest, TakesWhatModeSenseGave) {
  for (const unsigned dbd : {0u, 8u}) {
    Reply reply;
    ASSERT_FALSE(mode_sense(cdb({0x1a, dbd, 0x3f, 0, 255, 0}), kState, reply));
    ModeState state = kState;
    std::vector<std::byte> list(reply.view().begin(), reply.view().end());
    EXPECT_EQ(selected(list, state), "");
    EXPECT_EQ(state, kState);
  }
}

TEST(ModeSelectTest, TenHasALongerHeader) {
  ModeState state = kState;
  auto list = bytes({0, 0, 0, 0, 0, 0, 0, 0, 8, 0x12, 0});
  list.resize(28);
  const auto command = cdb({0x55, 0x10, 0, 0, 0, 0, 0, 0, 28, 0});
  EXPECT_FALSE(mode_select(command, list, state));
  EXPECT_TRUE(state.write_through);
  list[4] = std::byte{1};  // LONGLBA
  EXPECT_EQ(mode_select(command, list, state), invalid_parameter(4, 0));
}

TEST(ModeSelectTest, PointsAtWhatItCannotDo) {
  ModeState state = kState;
  EXPECT_EQ(selected(caching(4), state, 0x00), "24 00 00 cc 00 01");  // no PF
  EXPECT_EQ(selected(caching(4), state, 0x11), "24 00 00 c8 00 01");  // SP
  EXPECT_EQ(selected(caching(5), state), "26 00 00 80 00 06");
  EXPECT_EQ(selected(bytes({0, 0, 0, 0, 0x0a, 0x0a}), state), "26 00 00 80 00 04");
  EXPECT_EQ(selected(bytes({0, 0, 0, 0, 0x48, 0x12}), state), "26 00 00 80 00 04");
  EXPECT_EQ(selected(bytes({0, 0, 0, 0, 0x08, 0x0a}), state), "26 00 00 80 00 05");
  EXPECT_EQ(selected(bytes({0, 0, 0, 7}), state), "26 00 00 80 00 03");
  EXPECT_EQ(selected(bytes({0, 0, 0, 8, 0, 0, 9, 0, 0, 0, 2, 0}), state), "26 00 00 80 00 04");
  EXPECT_EQ(selected(bytes({0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 4, 0}), state), "26 00 00 80 00 09");
  EXPECT_EQ(state, kState);
}

TEST(ModeSelectTest, AnyListThatIsCutShortIsRefused) {
  auto whole = bytes({0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0x12});
  whole.resize(12 + 20);
  for (size_t length = 1; length < whole.size(); ++length) {
    ModeState state = kState;
    const std::vector<std::byte> list(whole.begin(), whole.begin() + static_cast<long>(length));
    EXPECT_EQ(selected(list, state), length == 12 ? "" : "1a 00 00 00 00 00") << length;
    EXPECT_EQ(state, kState);
  }
}

// WCE of a disk that has no cache is not ours to give.
TEST(ModeSelectTest, ThereIsNoCacheToSwitchOn) {
  ModeState state = kState;
  state.volatile_cache = false;
  EXPECT_EQ(selected(caching(4), state), "26 00 00 80 00 06");
  EXPECT_EQ(selected(caching(0), state), "");
  EXPECT_FALSE(state.write_through);
}

}  // namespace
}  // namespace ringside::xenvbd
