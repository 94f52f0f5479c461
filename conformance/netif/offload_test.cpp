#include "conformance/netif/played_backend.hpp"

namespace ringside::conformance {
namespace {

using xenvif::Checksum;
using xenvif::Gso;
using xenvif::GsoType;
using xenvif::TxStatus;

/// GSO and checksums on the way out.
class NetifOffloadTest : public PlayedBackendFixture {
 protected:
  static Sending gso(GsoType type, uint16_t size) {
    return {.checksum = Checksum::kBlank, .gso = {type, size}};
  }

  /// Takes the whole ring's requests as frames of one slot, answering each.
  std::vector<std::pair<netif_tx_request_t, Bytes>> take_frames() {
    std::vector<std::pair<netif_tx_request_t, Bytes>> frames;
    for (;;) {
      const auto slots = take_tx();
      if (slots.empty()) return frames;
      for (const netif_tx_request_t& slot : slots) {
        frames.emplace_back(slot, read(slot.gref, slot.offset, slot.size));
        answer(slot.id, NETIF_RSP_OKAY);
      }
      push_tx();
    }
  }

  static void expect_segments(const Bytes& whole, const std::vector<Bytes>& segments, size_t size) {
    const xenvif::Headers headers = xenvif::parse_headers(whole);
    Bytes payload;
    for (size_t i = 0; i < segments.size(); ++i) {
      const Bytes& segment = segments[i];
      ASSERT_EQ(xenvif::parse_headers(segment).length, headers.length);
      EXPECT_EQ(xenvif::read_be32(&segment[headers.transport + 4]),
                xenvif::read_be32(&whole[headers.transport + 4]) + payload.size());
      payload.insert(payload.end(), segment.begin() + headers.length, segment.end());
      if (i + 1 < segments.size()) {
        EXPECT_EQ(segment.size(), headers.length + size);
      }
    }
    payload.resize(whole.size() - headers.length);  // less the padding of a short last one
    EXPECT_TRUE(std::equal(payload.begin(), payload.end(), whole.begin() + headers.length));
  }
};

TEST_F(NetifOffloadTest, NETIF_TX_008_GsoGoesOutWholeToAPeerThatTakesIt) {
  connect(kAll);
  const Bytes frame = ip_frame({.payload = 10000});
  send(frame, gso(GsoType::kTcpV4, 1448));
  auto slots = take_tx();
  ASSERT_GE(slots.size(), 3u);
  EXPECT_NE(slots[0].flags & NETTXF_extra_info, 0);
  slots.erase(slots.begin() + 1);
  EXPECT_EQ(read_packet(slots), with_pseudo_sum(frame));
}

TEST_F(NetifOffloadTest, NETIF_TX_008_GsoIsCutUpForAPeerWithoutIt) {
  connect({{"feature-sg", "1"}, {"feature-gso-tcpv6", "1"}});
  const Bytes frame = ip_frame({.payload = 10000});
  const uint64_t cookie = send(frame, gso(GsoType::kTcpV4, 1448));
  std::vector<Bytes> segments;
  for (const auto& [slot, bytes] : take_frames()) {
    EXPECT_EQ(slot.flags, NETTXF_csum_blank | NETTXF_data_validated);
    EXPECT_EQ(bytes, with_pseudo_sum(bytes));
    segments.push_back(bytes);
  }
  EXPECT_EQ(segments.size(), 7u);
  expect_segments(frame, segments, 1448);
  EXPECT_EQ(ended(cookie), TxStatus::kSent);
}

TEST_F(NetifOffloadTest, NETIF_TX_008_SegmentsCarryWholeChecksumsWhereThePeerMakesNone) {
  connect({});  // no sg, no GSO, no IPv6 checksums
  const Bytes frame = ip_frame({.version = 6, .payload = 5000});
  const uint64_t cookie = send(frame, gso(GsoType::kTcpV6, 1428));
  std::vector<Bytes> segments;
  for (const auto& [slot, bytes] : take_frames()) {
    EXPECT_EQ(slot.flags, 0);
    EXPECT_EQ(bytes, with_checksum(bytes));
    segments.push_back(bytes);
  }
  EXPECT_EQ(segments.size(), 4u);
  expect_segments(frame, segments, 1428);
  EXPECT_EQ(ended(cookie), TxStatus::kSent);
}

TEST_F(NetifOffloadTest, NETIF_TX_008_MoreSegmentsThanTheRingHoldsAllArrive) {
  connect({});
  const Bytes frame = ip_frame({.payload = 60000});
  const uint64_t cookie = send(frame, gso(GsoType::kTcpV4, 100));
  std::vector<Bytes> segments;
  for (const auto& [slot, bytes] : take_frames()) segments.push_back(bytes);
  EXPECT_EQ(segments.size(), 600u);
  expect_segments(frame, segments, 100);
  EXPECT_EQ(ended(cookie), TxStatus::kSent);
}

TEST_F(NetifOffloadTest, NETIF_TX_008_APacketBehindASegmentedOneWaitsItsTurn) {
  connect({});
  send(ip_frame({.payload = 60000}), gso(GsoType::kTcpV4, 100));
  const auto behind = lay_out(plain_frame(60, 9));
  guest_->run([&] { EXPECT_EQ(transmit(behind), Status::kNoResources); });
  EXPECT_EQ(take_frames().size(), 600u);
  EXPECT_EQ(client_.rooms, 1u);
}

TEST_F(NetifOffloadTest, NETIF_TX_045_ASegmentedPacketEndsOnceWhenTheConnectionDoes) {
  connect({});
  const uint64_t cookie = send(ip_frame({.payload = 60000}), gso(GsoType::kTcpV4, 100));
  leave();
  host_->require("the packet to end", [&] { return ended(cookie).has_value(); });
  EXPECT_EQ(ended(cookie), TxStatus::kDisconnected);
}

TEST_F(NetifOffloadTest, NETIF_TX_008_ALastSegmentOfOneByteIsPadded) {
  connect({});
  const Bytes frame = ip_frame({.payload = 1401});
  send(frame, gso(GsoType::kTcpV4, 1400));
  const auto frames = take_frames();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[1].first.size, 60);
}

TEST_F(NetifOffloadTest, NETIF_TX_019_NETIF_TX_026_TheExtraFollowsTheFirstSlot) {
  connect(kAll);
  for (const unsigned version : {4u, 6u}) {
    const GsoType type = version == 4 ? GsoType::kTcpV4 : GsoType::kTcpV6;
    send(ip_frame({.version = version, .payload = 9000}), gso(type, 1400));
    const auto slots = take_tx();
    ASSERT_GE(slots.size(), 3u);
    EXPECT_EQ(slots[0].flags & (NETTXF_extra_info | NETTXF_csum_blank),
              NETTXF_extra_info | NETTXF_csum_blank);
    const auto extra = ring::slot_as<netif_extra_info_t>(slots[1]);
    EXPECT_EQ(extra.type, XEN_NETIF_EXTRA_TYPE_GSO);
    EXPECT_EQ(extra.flags, 0);
    EXPECT_EQ(extra.u.gso.size, 1400);
    EXPECT_EQ(extra.u.gso.type, version == 4 ? XEN_NETIF_GSO_TYPE_TCPV4 : XEN_NETIF_GSO_TYPE_TCPV6);
    EXPECT_EQ(extra.u.gso.pad, 0);
    EXPECT_EQ(extra.u.gso.features, 0);
    for (size_t i = 2; i < slots.size(); ++i) EXPECT_EQ(slots[i].flags & NETTXF_extra_info, 0);
  }
}

TEST_F(NetifOffloadTest, NETIF_TX_026_WhatFitsOneSegmentIsNoGso) {
  connect(kAll);
  send(ip_frame({.payload = 1400}), gso(GsoType::kTcpV4, 1400));
  const auto slots = take_tx();
  EXPECT_EQ(slots[0].flags & NETTXF_extra_info, 0);
  EXPECT_NE(slots[0].flags & NETTXF_csum_blank, 0);
}

TEST_F(NetifOffloadTest, NETIF_TX_026_GsoThatMakesNoSenseIsDroppedWithTheReason) {
  connect(kAll);
  EXPECT_EQ(ended(send(ip_frame({.payload = 9000}), gso(GsoType::kTcpV4, 0))), TxStatus::kBadGso);
  EXPECT_EQ(ended(send(ip_frame({.payload = 9000}), gso(GsoType::kTcpV6, 1400))),
            TxStatus::kBadGso);
  EXPECT_EQ(ended(send(ip_frame({.protocol = xenvif::kProtocolUdp, .payload = 9000}),
                       gso(GsoType::kTcpV4, 1400))),
            TxStatus::kBadGso);
  EXPECT_TRUE(take_tx().empty());
}

TEST_F(NetifOffloadTest, NETIF_TX_020_TheExtrasSlotIsAnsweredWithNothing) {
  connect(kAll);
  for (unsigned round = 0; round < 300; ++round) {
    const uint64_t cookie = send(ip_frame({.payload = 3000}), gso(GsoType::kTcpV4, 1400));
    const auto slots = take_tx();
    ASSERT_GE(slots.size(), 3u);
    answer(slots[0].id, NETIF_RSP_OKAY);
    answer(0xbeef, NETIF_RSP_NULL);  // its id means nothing
    for (size_t i = 2; i < slots.size(); ++i) answer(slots[i].id, NETIF_RSP_OKAY);
    push_tx();
    ASSERT_EQ(ended(cookie), TxStatus::kSent) << round;
  }
}

TEST_F(NetifOffloadTest, NETIF_TX_025_TheFieldHoldsThePseudoHeadersSum) {
  connect(kAll);
  for (const uint8_t protocol : {xenvif::kProtocolTcp, xenvif::kProtocolUdp}) {
    for (const unsigned version : {4u, 6u}) {
      const Bytes frame = ip_frame({.version = version, .protocol = protocol, .payload = 777});
      send(frame, {.checksum = Checksum::kBlank});
      const auto slots = take_tx();
      EXPECT_EQ(slots[0].flags & (NETTXF_csum_blank | NETTXF_data_validated),
                NETTXF_csum_blank | NETTXF_data_validated);
      EXPECT_EQ(read_packet(slots), with_pseudo_sum(frame));
      answer_all(slots);
      push_tx();
    }
  }
}

TEST_F(NetifOffloadTest, NETIF_TX_050_AFragmentGetsNoChecksumOffload) {
  connect(kAll);
  EXPECT_EQ(ended(send(ip_frame({.fragment = true}), {.checksum = Checksum::kBlank})),
            TxStatus::kNoChecksum);
  EXPECT_EQ(ended(send(plain_frame(100), {.checksum = Checksum::kBlank})), TxStatus::kNoChecksum);
  EXPECT_TRUE(take_tx().empty());
  const Bytes as_it_is = ip_frame({.fragment = true});
  send(as_it_is);
  EXPECT_EQ(read_packet(take_tx()), as_it_is);
}

TEST_F(NetifOffloadTest, NETIF_TX_050_AUdpSumOfZeroIsSentAsAllOnes) {
  connect({{"feature-no-csum-offload", "1"}});
  // The last payload word makes the sum come out as zero.
  Bytes frame = ip_frame({.protocol = xenvif::kProtocolUdp, .payload = 20});
  const uint16_t sum = checksum_field(with_checksum(frame));
  std::byte* last = &frame[frame.size() - 2];
  xenvif::ChecksumSum fitted;
  fitted.add_word(xenvif::read_be16(last));
  fitted.add_word(sum);
  xenvif::write_be16(last, fitted.folded());
  send(frame, {.checksum = Checksum::kBlank});
  EXPECT_EQ(checksum_field(read_packet(take_tx())), 0xffff);
}

}  // namespace
}  // namespace ringside::conformance
