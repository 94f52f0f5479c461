#include "protocols/xenvif/headers.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace ringside::xenvif {
namespace {

std::vector<std::byte> bytes(std::initializer_list<unsigned> values) {
  std::vector<std::byte> result;
  for (unsigned value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

/// Ethernet with `tags` VLAN tags, then `type`.
std::vector<std::byte> ethernet(unsigned tags, unsigned type) {
  std::vector<std::byte> frame(12);
  for (unsigned i = 0; i < tags; ++i) {
    for (std::byte b : bytes({0x81, 0x00, 0x00, 0x05})) frame.push_back(b);
  }
  frame.push_back(static_cast<std::byte>(type >> 8));
  frame.push_back(static_cast<std::byte>(type & 0xff));
  return frame;
}

std::vector<std::byte> tcp4(unsigned tags, unsigned fragment_field = 0, unsigned options = 0) {
  std::vector<std::byte> frame = ethernet(tags, 0x0800);
  const size_t ip = frame.size();
  frame.resize(ip + 20 + options + 20);
  frame[ip] = static_cast<std::byte>(0x40 | (5 + options / 4));
  frame[ip + 6] = static_cast<std::byte>(fragment_field >> 8);
  frame[ip + 7] = static_cast<std::byte>(fragment_field & 0xff);
  frame[ip + 9] = std::byte{6};
  frame[ip + 20 + options + 12] = std::byte{0x50};
  return frame;
}

TEST(HeadersTest, FindsTcpBehindTagsAndOptions) {
  const Headers headers = parse_headers(tcp4(2, 0x4000, 8));
  EXPECT_EQ(headers.ip_version, 4);
  EXPECT_EQ(headers.protocol, kProtocolTcp);
  EXPECT_EQ(headers.network, 14 + 8);
  EXPECT_EQ(headers.transport, 14 + 8 + 28);
  EXPECT_EQ(headers.length, 14 + 8 + 28 + 20);
  EXPECT_FALSE(headers.fragment);
}

TEST(HeadersTest, AFragmentHasNoTransportHeader) {
  for (unsigned field : {0x2000u, 0x0010u}) {
    const Headers headers = parse_headers(tcp4(0, field));
    EXPECT_TRUE(headers.fragment);
    EXPECT_EQ(headers.protocol, 0);
    EXPECT_EQ(headers.length, 34);
  }
}

TEST(HeadersTest, WalksIpv6Extensions) {
  std::vector<std::byte> frame = ethernet(0, 0x86dd);
  frame.resize(14 + 40 + 16 + 8);
  frame[14] = std::byte{0x60};
  frame[14 + 6] = std::byte{0};    // hop by hop
  frame[14 + 40] = std::byte{17};  // then UDP
  frame[14 + 41] = std::byte{1};   // 16 bytes
  const Headers headers = parse_headers(frame);
  EXPECT_EQ(headers.ip_version, 6);
  EXPECT_EQ(headers.protocol, kProtocolUdp);
  EXPECT_EQ(headers.transport, 14 + 40 + 16);
}

TEST(HeadersTest, EveryPrefixIsSafeAndNeverLonger) {
  const std::vector<std::byte> whole = tcp4(1, 0, 4);
  for (size_t n = 0; n <= whole.size(); ++n) {
    // A copy of the exact size, so that a sanitizer sees one byte too many.
    const std::vector<std::byte> prefix(whole.begin(), whole.begin() + static_cast<long>(n));
    EXPECT_LE(parse_headers(prefix).length, n);
  }
}

TEST(HeadersTest, NoiseIsSafe) {
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> frame = ethernet(round % 4, round % 2 ? 0x0800 : 0x86dd);
    const size_t start = frame.size();
    frame.resize(start + random() % 120);
    for (size_t i = start; i < frame.size(); ++i) frame[i] = static_cast<std::byte>(random());
    if (frame.size() > start) {
      frame[start] = static_cast<std::byte>((round % 2 ? 0x40 : 0x60) | (random() & 0xf));
    }
    EXPECT_LE(parse_headers(frame).length, frame.size());
  }
}

}  // namespace
}  // namespace ringside::xenvif
