#include "conformance/replay/traffic.hpp"

#include <gtest/gtest.h>

namespace ringside::conformance {
namespace {

constexpr uint16_t kMtu = 1500;

/// An IPv4 TCP frame from port `from` to port `to`; `mss` goes into a SYN.
CapturedFrame tcp(size_t payload, uint8_t from, uint8_t to, uint16_t mss = 0) {
  Bytes frame;
  const auto add = [&frame](std::initializer_list<size_t> values) {
    for (const size_t value : values) frame.push_back(static_cast<std::byte>(value & 0xff));
  };
  const size_t options = mss == 0 ? 0 : 4;
  const size_t total = 40 + options + payload;
  add({2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00});
  add({0x45, 0, total >> 8, total, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, from, 10, 0, 0, to});
  add({0,    from, 0, to, 0, 0, 0, 1, 0, 0, 0, 1, (5 + options / 4) << 4, mss == 0 ? 0x10u : 0x02u,
       0xff, 0xff, 0, 0,  0, 0});
  if (mss != 0) add({2, 4, size_t{mss} >> 8, mss});
  for (size_t i = 0; i < payload; ++i) frame.push_back(static_cast<std::byte>(i * 7));
  leave_checksum_partial(frame, dissect(frame));
  const size_t length = frame.size();
  return {std::move(frame), length};
}

TEST(TrafficTest, ALargeTcpFrameTravelsAsGsoWithItsPeersMss) {
  const std::vector<CapturedFrame> capture{tcp(0, 2, 1, 1000), tcp(5000, 1, 2), tcp(5000, 3, 4)};
  const auto traffic = shape_traffic(capture, kMtu);
  EXPECT_EQ(traffic[0].gso.type, xenvif::GsoType::kNone);
  EXPECT_TRUE(traffic[0].blank_checksum);
  EXPECT_EQ(traffic[1].gso.type, xenvif::GsoType::kTcpV4);
  EXPECT_EQ(traffic[1].gso.size, 1000);
  EXPECT_EQ(traffic[2].gso.size, 1460);  // no SYN seen: what the MTU leaves
}

TEST(TrafficTest, WhatCantBeSentSaysWhy) {
  CapturedFrame cut = tcp(100, 1, 2);
  cut.length_on_wire += 1;
  CapturedFrame damaged = tcp(5000, 1, 2);
  damaged.bytes.back() ^= std::byte{1};
  complete_checksum(damaged.bytes, dissect(damaged.bytes));
  damaged.bytes.back() ^= std::byte{1};
  CapturedFrame jumbo = tcp(5000, 1, 2);
  jumbo.bytes[23] = std::byte{17};
  const auto traffic = shape_traffic(std::vector{cut, damaged, jumbo}, kMtu);
  EXPECT_EQ(traffic[0].unfit, "cut short by the capture");
  EXPECT_EQ(traffic[1].unfit, "over the MTU with a wrong checksum");
  EXPECT_EQ(traffic[2].unfit, "over the MTU and not TCP");
}

TEST(TrafficTest, WithoutGsoTheSegmentsAreExpected) {
  const auto traffic = shape_traffic(std::vector{tcp(3000, 1, 2)}, kMtu);
  EXPECT_EQ(expect(traffic[0], 0, /*gso_carried=*/true).size(), 1u);
  const auto segments = expect(traffic[0], 0, /*gso_carried=*/false);
  ASSERT_EQ(segments.size(), 3u);
  EXPECT_EQ(segments[2].bytes.size(), 54u + 80u);
}

TEST(TrafficTest, TellsWhatDiffers) {
  const auto traffic = shape_traffic(std::vector{tcp(100, 1, 2)}, kMtu);
  const ExpectedFrame expected = expect(traffic[0], 0, false).front();
  ReceivedFrame received{expected.bytes, xenvif::Checksum::kBlank, {}};
  EXPECT_EQ(difference(expected, received), "");

  received.bytes[60] ^= std::byte{1};
  EXPECT_NE(difference(expected, received).find("byte 60"), std::string::npos);
  received.bytes[60] ^= std::byte{1};
  // A checksum that nobody completed and nobody calls blank is a damaged frame.
  received.checksum = xenvif::Checksum::kUnknown;
  EXPECT_NE(difference(expected, received), "");
  complete_checksum(received.bytes, expected.layout);
  EXPECT_EQ(difference(expected, received), "");
  received.bytes.push_back(std::byte{0});
  EXPECT_NE(difference(expected, received).find("bytes instead of"), std::string::npos);
}

TEST(TrafficTest, PaddingToTheEthernetMinimumIsNoDifference) {
  const auto traffic = shape_traffic(std::vector{tcp(0, 1, 2)}, kMtu);
  const ExpectedFrame expected = expect(traffic[0], 0, false).front();
  ReceivedFrame received{expected.bytes, xenvif::Checksum::kBlank, {}};
  received.bytes.resize(60);
  EXPECT_EQ(difference(expected, received), "");
  received.bytes.back() = std::byte{1};  // what leaks out of a page is no padding
  EXPECT_NE(difference(expected, received), "");
}

}  // namespace
}  // namespace ringside::conformance
