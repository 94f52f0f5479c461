#include "conformance/netif/played_backend.hpp"

namespace ringside::conformance {
namespace {

using xenvif::Checksum;
using xenvif::GsoType;
using xenvif::LinkState;
using xenvif::RxDrop;

class NetifReceiveTest : public PlayedBackendFixture {
 protected:
  const xenvif::RxStatistics& statistics() { return queue().receive_statistics(); }

  static netif_extra_info_t gso_extra(unsigned type, uint16_t size, unsigned flags = 0) {
    netif_extra_info_t extra{};
    extra.type = XEN_NETIF_EXTRA_TYPE_GSO;
    extra.flags = static_cast<uint8_t>(flags);
    extra.u.gso.size = size;
    extra.u.gso.type = static_cast<uint8_t>(type);
    return extra;
  }

  void respond(const netif_rx_request_t& request, int status, unsigned flags = 0,
               unsigned offset = 0) {
    rx_.put(netif_rx_response_t{request.id, static_cast<uint16_t>(offset),
                                static_cast<uint16_t>(flags), static_cast<int16_t>(status)});
  }

  /// After something bad: a good frame still comes through.
  void expect_ring_goes_on() {
    const size_t before = client_.frames.size();
    receive(plain_frame(200, 77));
    push_rx();
    ASSERT_EQ(client_.frames.size(), before + 1);
    EXPECT_EQ(client_.frames.back().bytes, plain_frame(200, 77));
    EXPECT_EQ(rx_.unconsumed(), 256u) << "the ring was filled again";
  }
};

TEST_F(NetifReceiveTest, NETIF_RX_022_RequestsAreNumberedByTheirSlot) {
  connect(kAll);
  for (unsigned i = 0; i < 600; ++i) {
    const netif_rx_request_t request = take_rx();
    EXPECT_EQ(request.id, i % 256);
    const Bytes frame = plain_frame(60 + i % 1000, i);
    fill(request, frame);
    respond(request, static_cast<int>(frame.size()));
    push_rx();
    ASSERT_EQ(client_.frames.size(), i + 1);
    EXPECT_EQ(client_.frames.back().bytes, frame);
  }
}

TEST_F(NetifReceiveTest, NETIF_RX_022_AnAnswerInAnotherSlotClosesTheDevice) {
  connect(kAll);
  const netif_rx_request_t request = take_rx();
  fill(request, plain_frame(60));
  respond({static_cast<uint16_t>(request.id + 1), 0, request.gref}, 60);
  push_rx();
  host_->require("the link to go down", [this] { return vif().link() == LinkState::kDown; });
  EXPECT_TRUE(client_.frames.empty());
}

TEST_F(NetifReceiveTest, NETIF_RX_022_AnExtraHasNoId) {
  connect(kAll);
  const Bytes frame = ip_frame({.payload = 3000});
  receive(frame, NETRXF_extra_info | NETRXF_csum_blank | NETRXF_data_validated);
  receive_extra(gso_extra(XEN_NETIF_GSO_TYPE_TCPV4, 1448));
  push_rx();
  ASSERT_EQ(client_.frames.size(), 1u);
  EXPECT_EQ(client_.frames[0].gso.type, GsoType::kTcpV4);
  EXPECT_EQ(client_.frames[0].gso.size, 1448);
  EXPECT_EQ(client_.frames[0].bytes, frame);
  expect_ring_goes_on();
}

TEST_F(NetifReceiveTest, NETIF_RX_023_AChainIsTheSumOfItsSlots) {
  connect(kAll);
  const Bytes frame = plain_frame(10000);
  receive(Bytes(frame.begin(), frame.begin() + 4096), NETRXF_more_data);
  receive(Bytes(frame.begin() + 4096, frame.begin() + 8192), NETRXF_more_data);
  receive(Bytes(frame.begin() + 8192, frame.end()));
  push_rx();
  ASSERT_EQ(client_.frames.size(), 1u);
  EXPECT_EQ(client_.frames[0].bytes, frame);
  EXPECT_EQ(client_.frames[0].fragments, 3u);
}

TEST_F(NetifReceiveTest, NETIF_RX_023_AnyNegativeStatusDropsThePacket) {
  connect(kAll);
  respond(take_rx(), NETIF_RSP_ERROR);
  receive(plain_frame(4000), NETRXF_more_data);
  respond(take_rx(), NETIF_RSP_DROPPED, NETRXF_more_data);
  receive(plain_frame(100));
  push_rx();
  EXPECT_TRUE(client_.frames.empty());
  EXPECT_EQ(statistics().count(RxDrop::kPeerError), 2u);
  expect_ring_goes_on();
}

TEST_F(NetifReceiveTest, NETIF_RX_023_AnEmptySlotInAChainHarmsNobody) {
  connect(kAll);
  receive(plain_frame(100), NETRXF_more_data);
  receive({}, NETRXF_more_data);
  receive({});
  receive({});
  push_rx();
  ASSERT_EQ(client_.frames.size(), 1u);
  EXPECT_EQ(client_.frames[0].bytes, plain_frame(100));
  EXPECT_EQ(statistics().count(RxDrop::kRunt), 1u);
  expect_ring_goes_on();
}

TEST_F(NetifReceiveTest, NETIF_RX_024_HalfAPacketIsNotShown) {
  connect(kAll);
  receive(plain_frame(4096), NETRXF_more_data | NETRXF_extra_info);
  push_rx();
  EXPECT_TRUE(client_.frames.empty());
  receive_extra(gso_extra(XEN_NETIF_GSO_TYPE_TCPV6, 1400));
  push_rx();
  EXPECT_TRUE(client_.frames.empty());
  receive(plain_frame(50));
  push_rx();
  ASSERT_EQ(client_.frames.size(), 1u);
  EXPECT_EQ(client_.frames[0].bytes.size(), 4146u);
}

TEST_F(NetifReceiveTest, NETIF_RX_024_HalfAPacketIsDroppedWithTheConnection) {
  connect(kAll);
  receive(plain_frame(4096), NETRXF_more_data);
  push_rx();
  leave();
  host_->require("the link to go down", [this] { return vif().link() == LinkState::kDown; });
  settle();
  EXPECT_EQ(statistics().count(RxDrop::kDisconnected), 1u);
}

TEST_F(NetifReceiveTest, NETIF_RX_023_MoreThanAPacketCanHaveIsDropped) {
  connect(kAll);
  for (unsigned i = 0; i < 40; ++i) receive(plain_frame(100), NETRXF_more_data);
  receive(plain_frame(100));
  for (unsigned i = 0; i < 16; ++i) receive(plain_frame(4096), NETRXF_more_data);
  receive(plain_frame(100));
  push_rx();
  EXPECT_TRUE(client_.frames.empty());
  EXPECT_EQ(statistics().count(RxDrop::kTooLong), 2u);
  expect_ring_goes_on();
}

TEST_F(NetifReceiveTest, NETIF_TX_025_ChecksumFlagsReachTheClient) {
  connect(kAll);
  receive(plain_frame(60));
  receive(plain_frame(60), NETRXF_data_validated);
  receive(plain_frame(60), NETRXF_csum_blank);
  receive(plain_frame(60), NETRXF_csum_blank | NETRXF_data_validated);
  push_rx();
  ASSERT_EQ(client_.frames.size(), 4u);
  EXPECT_EQ(client_.frames[0].checksum, Checksum::kUnknown);
  EXPECT_EQ(client_.frames[1].checksum, Checksum::kValidated);
  EXPECT_EQ(client_.frames[2].checksum, Checksum::kBlank);
  EXPECT_EQ(client_.frames[3].checksum, Checksum::kBlank);
}

TEST_F(NetifReceiveTest, NETIF_RX_028_AGsoPrefixNobodyAskedForIsDropped) {
  connect(kAll, {{"feature-gso-tcpv4-prefix", "1"}, {"feature-gso-tcpv6-prefix", "1"}});
  EXPECT_FALSE(front_value("feature-gso-tcpv4-prefix"));
  EXPECT_FALSE(front_value("feature-gso-tcpv6-prefix"));
  receive({}, NETRXF_gso_prefix | NETRXF_more_data);
  receive(plain_frame(3000));
  push_rx();
  EXPECT_TRUE(client_.frames.empty());
  EXPECT_EQ(statistics().count(RxDrop::kBadExtra), 1u);
  expect_ring_goes_on();
}

TEST_F(NetifReceiveTest, NETIF_RX_043_TheRingIsFullFromTheStartAndAfterEachPoll) {
  connect(kAll);
  EXPECT_EQ(rx_.unconsumed(), 256u);
  for (unsigned round = 0; round < 5; ++round) {
    for (unsigned i = 0; i < 256; ++i) receive(plain_frame(60 + i, round));
    push_rx();
    EXPECT_EQ(client_.frames.size(), (round + 1) * 256u);
    EXPECT_EQ(rx_.unconsumed(), 256u);
  }
}

TEST_F(NetifReceiveTest, NETIF_RX_043_PagesThatComeBackLateFillTheRingAgain) {
  connect(kAll);
  client_.keep = true;
  size_t sent = 0;
  while (rx_.unconsumed() > 0 && sent < 2000) {
    receive(plain_frame(60, static_cast<unsigned>(sent++)));
    if (rx_.unconsumed() == 0 || sent % 64 == 0) push_rx();
  }
  EXPECT_EQ(sent, 512u) << "the client holds every page";
  EXPECT_EQ(client_.frames.size(), sent);
  EXPECT_GT(statistics().starved, 0u);
  client_.keep = false;
  guest_->run([this] { client_.give_all_back(); });
  EXPECT_GE(rx_.unconsumed(), 224u) << "up to a batch may wait for the next poll";
  receive(plain_frame(99, 1));
  push_rx();
  EXPECT_EQ(client_.frames.back().bytes, plain_frame(99, 1));
  EXPECT_EQ(rx_.unconsumed(), 256u);
}

TEST_F(NetifReceiveTest, NETIF_RX_043_APagePeerStillMapsIsCopiedAndNeverLent) {
  connect(kAll);
  const netif_rx_request_t request = take_rx();
  void* held =
      xengnttab_map_grant_ref(grants_, guest_->domid(), request.gref, PROT_READ | PROT_WRITE);
  ASSERT_NE(held, nullptr);
  const Bytes frame = plain_frame(300, 5);
  std::memcpy(held, frame.data(), frame.size());
  const std::byte* lent = nullptr;
  client_.keep = true;
  client_.on_received = [&](xenvif::Queue&, const xenvif::RxPacket& packet) {
    lent = packet.fragments[0].address;
  };
  respond(request, 300);
  push_rx();
  ASSERT_NE(lent, nullptr);
  std::memset(held, 0xee, 4096);  // after the fact
  EXPECT_EQ(std::memcmp(lent, frame.data(), frame.size()), 0);
  xengnttab_unmap(grants_, held, 1);
  expect_ring_goes_on();
}

TEST_F(NetifReceiveTest, NETIF_RX_044_DataMayStartAnywhereInThePage) {
  connect(kAll);
  for (const uint16_t offset : std::initializer_list<uint16_t>{2, 100, 2000, 4096 - 60}) {
    receive(plain_frame(60, offset), 0, offset);
    push_rx();
    EXPECT_EQ(client_.frames.back().bytes, plain_frame(60, offset));
  }
}

TEST_F(NetifReceiveTest, NETIF_RX_044_WhatLeavesThePageIsDropped) {
  connect(kAll);
  respond(take_rx(), 61, 0, 4096 - 60);
  respond(take_rx(), 60, 0, 0xffff);
  respond(take_rx(), 0x7fff);
  respond(take_rx(), 1, 0, 4096);
  push_rx();
  EXPECT_TRUE(client_.frames.empty());
  EXPECT_EQ(statistics().count(RxDrop::kBadRange), 4u);
  expect_ring_goes_on();
}

TEST_F(NetifReceiveTest, NETIF_RX_049_AnUnknownExtraDropsItsPacketOnly) {
  connect(kAll);
  for (const uint8_t type : std::initializer_list<uint8_t>{0, 5, 200}) {
    receive(plain_frame(100), NETRXF_extra_info);
    netif_extra_info_t extra{};
    extra.type = type;
    receive_extra(extra);
  }
  push_rx();
  EXPECT_TRUE(client_.frames.empty());
  EXPECT_EQ(statistics().count(RxDrop::kUnknownExtra), 3u);
  expect_ring_goes_on();
}

TEST_F(NetifReceiveTest, NETIF_RX_049_AnUnknownExtraBesideAKnownOneDropsThePacket) {
  connect(kAll);
  receive(plain_frame(100), NETRXF_extra_info | NETRXF_more_data);
  receive_extra(gso_extra(XEN_NETIF_GSO_TYPE_TCPV4, 1400, XEN_NETIF_EXTRA_FLAG_MORE));
  netif_extra_info_t unknown{};
  unknown.type = 77;
  receive_extra(unknown);
  receive(plain_frame(100));
  push_rx();
  EXPECT_TRUE(client_.frames.empty());
  EXPECT_EQ(statistics().count(RxDrop::kUnknownExtra), 1u);
  expect_ring_goes_on();
}

TEST_F(NetifReceiveTest, NETIF_TX_026_AGsoExtraThatMakesNoSenseDropsThePacket) {
  connect(kAll);
  receive(plain_frame(100), NETRXF_extra_info);
  receive_extra(gso_extra(XEN_NETIF_GSO_TYPE_TCPV4, 0));
  receive(plain_frame(100), NETRXF_extra_info);
  receive_extra(gso_extra(3, 1400));
  receive(plain_frame(100), NETRXF_more_data);
  receive(plain_frame(100), NETRXF_extra_info);  // not on the first slot
  receive_extra(gso_extra(XEN_NETIF_GSO_TYPE_TCPV4, 1400));
  push_rx();
  EXPECT_TRUE(client_.frames.empty());
  EXPECT_EQ(statistics().count(RxDrop::kBadExtra), 3u);
  expect_ring_goes_on();
}

TEST_F(NetifReceiveTest, NETIF_CTL_047_OneChannelServesBothRings) {
  connect({{"feature-sg", "1"}});
  ASSERT_EQ(tx_port_, rx_port_);
  const uint64_t cookie = send(plain_frame(1400));
  answer_all(take_tx());
  (void)tx_.publish();
  receive(plain_frame(500, 3));
  (void)rx_.publish();
  xenevtchn_notify(events_, tx_port_);
  settle();
  EXPECT_EQ(ended(cookie), xenvif::TxStatus::kSent);
  ASSERT_EQ(client_.frames.size(), 1u);
  EXPECT_EQ(client_.frames[0].bytes, plain_frame(500, 3));
}

}  // namespace
}  // namespace ringside::conformance
