#include "protocols/xenvif/segmenter.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "protocols/xenvif/checksum.hpp"

namespace ringside::xenvif {
namespace {

TEST(ChecksumTest, MatchesTheExampleOfRfc1071) {
  const std::vector<unsigned> words{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  std::vector<std::byte> bytes;
  for (unsigned b : words) bytes.push_back(static_cast<std::byte>(b));
  ChecksumSum sum;
  sum.add(bytes);
  EXPECT_EQ(sum.folded(), 0xddf2);
}

TEST(ChecksumTest, AnySplitGivesTheSameSum) {
  std::vector<std::byte> bytes;
  for (unsigned i = 0; i < 61; ++i) bytes.push_back(static_cast<std::byte>(i * 37 + 11));
  ChecksumSum whole;
  whole.add(bytes);
  for (size_t a = 0; a <= bytes.size(); ++a) {
    for (size_t b = a; b <= bytes.size(); ++b) {
      ChecksumSum parts;
      const std::span<const std::byte> all(bytes);
      parts.add(all.subspan(0, a));
      parts.add(all.subspan(a, b - a));
      parts.add(all.subspan(b));
      ASSERT_EQ(parts.folded(), whole.folded()) << a << ' ' << b;
    }
  }
}

/// A TCP packet over IPv4 or IPv6 with `payload` bytes.
std::vector<std::byte> tcp_packet(unsigned version, size_t payload, unsigned flags) {
  const size_t ip = version == 4 ? 20 : 40;
  std::vector<std::byte> frame(14 + ip + 20 + payload);
  write_be16(&frame[12], version == 4 ? 0x0800 : 0x86dd);
  std::byte* network = &frame[14];
  if (version == 4) {
    network[0] = std::byte{0x45};
    write_be16(network + 2, static_cast<uint16_t>(frame.size() - 14));
    write_be16(network + 4, 0xfffe);
    network[8] = std::byte{64};
    network[9] = std::byte{6};
    write_be32(network + 12, 0x0a000001);
    write_be32(network + 16, 0x0a000002);
  } else {
    network[0] = std::byte{0x60};
    write_be16(network + 4, static_cast<uint16_t>(frame.size() - 54));
    network[6] = std::byte{6};
    network[23] = std::byte{1};
    network[39] = std::byte{2};
  }
  std::byte* tcp = network + ip;
  write_be32(tcp + 4, 0xffffff00);
  tcp[12] = std::byte{0x50};
  tcp[13] = static_cast<std::byte>(flags);
  for (size_t i = 0; i < payload; ++i) tcp[20 + i] = static_cast<std::byte>(i * 7);
  return frame;
}

uint16_t transport_sum(std::span<const std::byte> frame, const Headers& headers) {
  const auto length = static_cast<uint32_t>(frame.size() - headers.transport);
  ChecksumSum sum = pseudo_header(frame, headers, length);
  sum.add(frame.subspan(headers.transport));
  return sum.folded();
}

class SegmenterTest : public testing::TestWithParam<unsigned> {};

TEST_P(SegmenterTest, SegmentsAddUpToThePacket) {
  constexpr unsigned kAllFlags = 0x01 | 0x08 | 0x10 | 0x80;  // FIN PSH ACK CWR
  const std::vector<std::byte> packet = tcp_packet(GetParam(), 1000, kAllFlags);
  const Headers headers = parse_headers(packet);
  ASSERT_EQ(headers.protocol, kProtocolTcp);
  Segmenter segmenter(headers, static_cast<uint32_t>(packet.size()), 300);
  std::vector<std::byte> payload;
  unsigned count = 0;
  while (!segmenter.done()) {
    const size_t offset = segmenter.payload_offset();
    std::vector<std::byte> frame(segmenter.frame_length());
    std::memcpy(frame.data(), packet.data(), headers.length);
    std::memcpy(&frame[headers.length], &packet[offset], frame.size() - headers.length);
    segmenter.stamp(frame);
    ASSERT_TRUE(fill_checksum(frame, headers));

    EXPECT_EQ(transport_sum(frame, headers), 0xffff);
    const std::byte* tcp = &frame[headers.transport];
    EXPECT_EQ(read_be32(tcp + 4), static_cast<uint32_t>(0xffffff00 + count * 300));
    const unsigned flags = std::to_integer<unsigned>(tcp[13]);
    EXPECT_EQ((flags & 0x80) != 0, count == 0) << "CWR";
    EXPECT_EQ((flags & 0x09) != 0, count == 3) << "FIN and PSH";
    if (GetParam() == 4) {
      ChecksumSum sum;
      sum.add(std::span(frame).subspan(14, 20));
      EXPECT_EQ(sum.folded(), 0xffff);
      EXPECT_EQ(read_be16(&frame[16]), frame.size() - 14);
      EXPECT_EQ(read_be16(&frame[18]), static_cast<uint16_t>(0xfffe + count));
    } else {
      EXPECT_EQ(read_be16(&frame[18]), frame.size() - 54);
    }
    payload.insert(payload.end(), frame.begin() + headers.length, frame.end());
    ++count;
  }
  EXPECT_EQ(count, 4u);
  EXPECT_TRUE(
      std::equal(payload.begin(), payload.end(), packet.begin() + headers.length, packet.end()));
}

INSTANTIATE_TEST_SUITE_P(IpVersions, SegmenterTest, testing::Values(4, 6));

TEST(ChecksumTest, TrailingPaddingIsNotSummed) {
  std::vector<std::byte> frame = tcp_packet(4, 2, 0x10);
  const Headers headers = parse_headers(frame);
  std::vector<std::byte> padded = frame;
  padded.resize(60, std::byte{0xaa});
  ASSERT_TRUE(fill_checksum(frame, headers));
  ASSERT_TRUE(fill_checksum(padded, headers));
  EXPECT_EQ(read_be16(&padded[headers.checksum_offset()]),
            read_be16(&frame[headers.checksum_offset()]));
}

TEST(ChecksumTest, ALengthThatIsNotThereIsRefused) {
  std::vector<std::byte> frame = tcp_packet(4, 10, 0x10);
  const Headers headers = parse_headers(frame);
  write_be16(&frame[16], static_cast<uint16_t>(frame.size() - 14 + 1));
  EXPECT_FALSE(fill_checksum(frame, headers));
  write_be16(&frame[16], 30);
  EXPECT_FALSE(fill_checksum(frame, headers));
}

}  // namespace
}  // namespace ringside::xenvif
