#include "conformance/replay/packet.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace ringside::conformance {
namespace {

void append(Bytes& bytes, std::initializer_list<int> values) {
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
}

/// An IPv4 TCP frame with `payload` bytes counting up, checksum not yet filled in.
Bytes tcp_v4(size_t payload, int flags = 0x18) {
  Bytes frame;
  append(frame, {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00});
  const auto total = static_cast<int>(40 + payload);
  append(frame, {0x45, 0, total >> 8, total & 255, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0});
  append(frame, {10, 0, 0, 1, 10, 0, 0, 2});
  append(frame,
         {0x30, 0x39, 0, 80, 0, 0, 0x10, 0, 0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0});
  for (size_t i = 0; i < payload; ++i) frame.push_back(static_cast<std::byte>(i));
  return frame;
}

TEST(PacketTest, FindsTheHeadersBehindAVlanTag) {
  Bytes frame = tcp_v4(8);
  const std::byte tag[] = {std::byte{0x81}, std::byte{0}, std::byte{0}, std::byte{5}};
  frame.insert(frame.begin() + 12, std::begin(tag), std::end(tag));
  const PacketLayout layout = dissect(frame);
  EXPECT_TRUE(layout.ipv4);
  EXPECT_TRUE(layout.tcp());
  EXPECT_EQ(layout.network, 18u);
  EXPECT_EQ(layout.transport, 38u);
  EXPECT_EQ(layout.payload, 58u);
  EXPECT_EQ(tcp_payload(frame, layout).size(), 8u);
}

TEST(PacketTest, TellsPartialFullAndWrongChecksumsApart) {
  Bytes frame = tcp_v4(101);
  const PacketLayout layout = dissect(frame);
  leave_checksum_partial(frame, layout);
  EXPECT_EQ(checksum_state(frame, layout), ChecksumState::kPartial);
  complete_checksum(frame, layout);
  EXPECT_EQ(checksum_state(frame, layout), ChecksumState::kFull);
  frame.back() ^= std::byte{1};
  EXPECT_EQ(checksum_state(frame, layout), ChecksumState::kWrong);
}

// The example of RFC 1071's arithmetic on a real header: a SYN captured with a right checksum.
TEST(PacketTest, KnowsARealChecksum) {
  Bytes frame;
  append(frame, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00});
  append(frame, {0x45, 0, 0, 0x1c, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1});
  append(frame, {0, 1, 0, 2, 0, 8, 0x01, 0xd1});
  // ~(7f00+0001+7f00+0001 + 11 + 8 + 1 + 2 + 8) = 0x01d9; one bit off is wrong.
  EXPECT_EQ(checksum_state(frame, dissect(frame)), ChecksumState::kWrong);
  frame[41] = std::byte{0xd9};
  EXPECT_EQ(checksum_state(frame, dissect(frame)), ChecksumState::kFull);
}

TEST(PacketTest, AFragmentHasNoChecksumToOffload) {
  Bytes frame = tcp_v4(8);
  frame[20] = std::byte{0x20};  // more fragments
  const PacketLayout layout = dissect(frame);
  EXPECT_TRUE(layout.fragment);
  EXPECT_EQ(checksum_state(frame, layout), ChecksumState::kNone);
}

TEST(PacketTest, LengthsThatLeaveTheFrameAreNotFollowed) {
  const Bytes whole = tcp_v4(64);
  for (size_t length = 0; length < whole.size(); ++length) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    const PacketLayout layout = dissect(cut);
    EXPECT_FALSE(layout.tcp()) << length;
    EXPECT_LE(layout.end, length);
  }
}

TEST(PacketTest, SegmentsCarryThePayloadInOrder) {
  constexpr int kFinPushAck = 0x19;
  const Bytes frame = tcp_v4(1000, kFinPushAck);
  const PacketLayout layout = dissect(frame);
  const auto segments = segment_tcp(frame, layout, 300);
  ASSERT_EQ(segments.size(), 4u);
  Bytes stream;
  for (const Bytes& segment : segments) {
    const PacketLayout part = dissect(segment);
    ASSERT_TRUE(part.tcp());
    EXPECT_EQ(checksum_state(segment, part), ChecksumState::kFull);
    const auto payload = tcp_payload(segment, part);
    stream.insert(stream.end(), payload.begin(), payload.end());
  }
  const auto whole = tcp_payload(frame, layout);
  EXPECT_TRUE(std::equal(stream.begin(), stream.end(), whole.begin(), whole.end()));
  // Sequence 0x1000 + 300, identification 0x1234 + 1; FIN and PSH on the last one only.
  EXPECT_EQ(segments[1][layout.transport + 6], std::byte{0x11});
  EXPECT_EQ(segments[1][layout.transport + 7], std::byte{0x2c});
  EXPECT_EQ(segments[1][layout.network + 5], std::byte{0x35});
  EXPECT_EQ(segments[0][layout.transport + 13], std::byte{0x10});
  EXPECT_EQ(segments[3][layout.transport + 13], std::byte{kFinPushAck});
}

TEST(PacketTest, ReadsTheMssOfASyn) {
  Bytes frame = tcp_v4(0, 0x02);
  append(frame, {1, 2, 4, 0x05, 0xb4, 0, 0, 0});
  frame[17] = std::byte{48};
  frame[46] = std::byte{0x70};
  EXPECT_EQ(mss_option(frame, dissect(frame)), 1460);
  frame[47] = std::byte{0x10};  // no SYN
  EXPECT_FALSE(mss_option(frame, dissect(frame)).has_value());
}

}  // namespace
}  // namespace ringside::conformance
