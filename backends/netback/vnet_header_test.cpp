#include "backends/netback/vnet_header.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "protocols/xenvif/checksum.hpp"
#include "protocols/xenvif/headers.hpp"

namespace ringside::backends {
namespace {

using Bytes = std::vector<std::byte>;

constexpr size_t kTransport = 34;
constexpr uint8_t kIcmp = 1;

/// Ethernet and IPv4 of 20 bytes, then 40 bytes of the protocol; the checksum field holds 0.
Bytes ipv4_frame(uint8_t protocol) {
  Bytes frame(74);
  xenvif::write_be16(&frame[12], 0x0800);
  frame[14] = std::byte{0x45};
  xenvif::write_be16(&frame[16], 60);
  frame[22] = std::byte{64};
  frame[23] = std::byte{protocol};
  xenvif::write_be32(&frame[26], 0xc0000201);
  xenvif::write_be32(&frame[30], 0xc0000202);
  frame[kTransport + 12] = std::byte{0x50};
  for (size_t i = kTransport + 20; i < frame.size(); ++i) frame[i] = static_cast<std::byte>(i * 7);
  return frame;
}

VnetHeader needs_checksum(uint16_t start, uint16_t offset) {
  VnetHeader header{};
  header.flags = VnetHeader::kNeedsChecksum;
  header.checksum_start = start;
  header.checksum_offset = offset;
  return header;
}

TEST(VnetHeaderTest, BlankTcpAndUdpStayBlankBothWays) {
  for (const auto& [protocol, offset] : {std::pair<uint8_t, uint16_t>{6, 16}, {17, 6}}) {
    Bytes frame = ipv4_frame(protocol);
    const Bytes before = frame;
    const auto offload = from_vnet(needs_checksum(kTransport, offset), frame);
    ASSERT_TRUE(offload);
    EXPECT_EQ(*offload, Offload{.checksum = Frame::Checksum::kBlank});
    EXPECT_EQ(frame, before);
    const VnetHeader header = to_vnet(*offload, frame);
    EXPECT_EQ(header.flags, VnetHeader::kNeedsChecksum);
    EXPECT_EQ(header.checksum_start, kTransport);
    EXPECT_EQ(header.checksum_offset, offset);
    EXPECT_EQ(header.gso_type, VnetHeader::kGsoNone);
  }
}

TEST(VnetHeaderTest, WhatNetifHasNoWordsForIsFilledIn) {
  Bytes frame = ipv4_frame(kIcmp);
  const auto offload = from_vnet(needs_checksum(kTransport, 2), frame);
  ASSERT_TRUE(offload);
  EXPECT_EQ(offload->checksum, Frame::Checksum::kUnknown);
  xenvif::ChecksumSum sum;
  sum.add(std::span(frame).subspan(kTransport));
  EXPECT_EQ(sum.folded(), 0xffff);
  EXPECT_NE(xenvif::read_be16(&frame[kTransport + 2]), 0);
}

TEST(VnetHeaderTest, AChecksumOutsideTheFrameIsRefused) {
  Bytes frame = ipv4_frame(kIcmp);
  EXPECT_FALSE(from_vnet(needs_checksum(kTransport, 39), frame));
  EXPECT_FALSE(from_vnet(needs_checksum(0xffff, 0xffff), frame));
  EXPECT_TRUE(from_vnet(needs_checksum(kTransport, 38), frame));
}

TEST(VnetHeaderTest, TcpSegmentationKeepsItsSize) {
  Bytes frame = ipv4_frame(xenvif::kProtocolTcp);
  VnetHeader given = needs_checksum(kTransport, 16);
  given.gso_type = VnetHeader::kGsoTcpV4;
  given.gso_size = 1448;
  const auto offload = from_vnet(given, frame);
  ASSERT_TRUE(offload);
  EXPECT_EQ(*offload, (Offload{Frame::Checksum::kBlank, Frame::GsoType::kTcpV4, 1448}));
  const VnetHeader header = to_vnet(*offload, frame);
  EXPECT_EQ(header.flags, VnetHeader::kNeedsChecksum);
  EXPECT_EQ(header.gso_type, VnetHeader::kGsoTcpV4);
  EXPECT_EQ(header.gso_size, 1448);
  EXPECT_EQ(header.header_length, kTransport + 20);
}

TEST(VnetHeaderTest, OtherSegmentationIsRefused) {
  Bytes frame = ipv4_frame(xenvif::kProtocolUdp);
  VnetHeader header = needs_checksum(kTransport, 6);
  header.gso_type = VnetHeader::kGsoUdp;
  header.gso_size = 1000;
  EXPECT_FALSE(from_vnet(header, frame));
  header.gso_type = VnetHeader::kGsoTcpV4;
  header.gso_size = 0;
  EXPECT_FALSE(from_vnet(header, frame));
}

TEST(VnetHeaderTest, ValidatedStaysValidated) {
  Bytes frame = ipv4_frame(xenvif::kProtocolTcp);
  VnetHeader given{};
  given.flags = VnetHeader::kDataValid;
  const auto offload = from_vnet(given, frame);
  ASSERT_TRUE(offload);
  EXPECT_EQ(offload->checksum, Frame::Checksum::kValidated);
  EXPECT_EQ(to_vnet(*offload, frame).flags, VnetHeader::kDataValid);
}

}  // namespace
}  // namespace ringside::backends
