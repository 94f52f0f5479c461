#include "conformance/netif/played_backend.hpp"

namespace ringside::conformance {
namespace {

using xenvif::Checksum;
using xenvif::LinkState;
using xenvif::TxStatus;

class NetifNegotiationTest : public PlayedBackendFixture {};

TEST_F(NetifNegotiationTest, NETIF_NEG_002_SaysThatItNotifiesForReceiveRequests) {
  connect(kAll);
  EXPECT_EQ(front_value("feature-rx-notify"), "1");
}

TEST_F(NetifNegotiationTest, NETIF_NEG_003_SplitChannelsOnlyWhenOffered) {
  connect(kAll);
  EXPECT_TRUE(front_value("event-channel-tx"));
  EXPECT_TRUE(front_value("event-channel-rx"));
  EXPECT_NE(front_value("event-channel-tx"), front_value("event-channel-rx"));
  EXPECT_FALSE(front_value("event-channel"));
}

TEST_F(NetifNegotiationTest, NETIF_NEG_003_OneChannelWhenRefusedOrNotMentioned) {
  connect({{"feature-sg", "1"}, {"feature-split-event-channels", "0"}});
  EXPECT_TRUE(front_value("event-channel"));
  EXPECT_FALSE(front_value("event-channel-tx"));
  EXPECT_FALSE(front_value("event-channel-rx"));
}

TEST_F(NetifNegotiationTest, NETIF_NEG_003_KeysOfAnEarlierDriverGo) {
  connect({}, {{"event-channel-tx", "77"}, {"event-channel-rx", "78"}});
  EXPECT_TRUE(front_value("event-channel"));
  EXPECT_FALSE(front_value("event-channel-tx"));
  EXPECT_FALSE(front_value("event-channel-rx"));
}

TEST_F(NetifNegotiationTest, NETIF_NEG_004_OneQueueUsesTheTopLevelNodes) {
  connect({{"multi-queue-max-queues", "4"}},
          {{"queue-0/tx-ring-ref", "9"}, {"queue-3/event-channel", "5"}});
  EXPECT_EQ(front_value("multi-queue-num-queues"), "1");
  EXPECT_TRUE(front_value("tx-ring-ref"));
  EXPECT_TRUE(front_value("rx-ring-ref"));
  for (const char* stale : {"queue-0", "queue-0/tx-ring-ref", "queue-3"}) {
    EXPECT_FALSE(front_value(stale)) << stale;
  }
}

TEST_F(NetifNegotiationTest, NETIF_NEG_005_ARefusalGivesEverythingBack) {
  offer(kAll);
  become(XenbusStateClosing);
  wait_for_frontend(XenbusStateClosed);
  become(XenbusStateClosed);
  settle();
  guest_->run([this] {
    EXPECT_EQ(queue().transmit({.fragments = {}, .gso = {}, .cookie = 1}), Status::kClosed);
  });
  EXPECT_TRUE(client_.links.empty());
}

TEST_F(NetifNegotiationTest, NETIF_NEG_007_Ipv4ChecksumsAreLeftToThePeerByDefault) {
  connect({});
  const Bytes frame = ip_frame({});
  send(frame, {.checksum = Checksum::kBlank});
  const auto slots = take_tx();
  ASSERT_EQ(slots.size(), 1u);
  EXPECT_EQ(slots[0].flags, NETTXF_csum_blank | NETTXF_data_validated);
  EXPECT_EQ(read_packet(slots), with_pseudo_sum(frame));
}

TEST_F(NetifNegotiationTest, NETIF_NEG_007_Ipv4ChecksumsAreMadeForAPeerThatRefuses) {
  connect({{"feature-no-csum-offload", "1"}, {"feature-sg", "1"}});
  const Bytes frame = ip_frame({.payload = 1400});
  send(frame, {.chunk = 333, .checksum = Checksum::kBlank});
  const auto slots = take_tx();
  ASSERT_FALSE(slots.empty());
  EXPECT_EQ(slots[0].flags & NETTXF_csum_blank, 0);
  EXPECT_EQ(read_packet(slots), with_checksum(frame));
}

TEST_F(NetifNegotiationTest, NETIF_NEG_007_Ipv6ChecksumsAreMadeUnlessThePeerOffers) {
  connect({{"feature-sg", "1"}});
  const Bytes frame = ip_frame({.version = 6, .protocol = xenvif::kProtocolUdp});
  send(frame, {.checksum = Checksum::kBlank});
  const auto slots = take_tx();
  ASSERT_EQ(slots.size(), 1u);
  EXPECT_EQ(slots[0].flags, 0);
  EXPECT_EQ(read_packet(slots), with_checksum(frame));
}

TEST_F(NetifNegotiationTest, NETIF_NEG_007_Ipv6ChecksumsAreLeftToAPeerThatOffers) {
  connect(kAll);
  const Bytes frame = ip_frame({.version = 6});
  send(frame, {.checksum = Checksum::kBlank});
  const auto slots = take_tx();
  ASSERT_EQ(slots.size(), 1u);
  EXPECT_NE(slots[0].flags & NETTXF_csum_blank, 0);
  EXPECT_EQ(read_packet(slots), with_pseudo_sum(frame));
  EXPECT_EQ(front_value("feature-no-csum-offload"), "0");
  EXPECT_EQ(front_value("feature-ipv6-csum-offload"), "1");
}

TEST_F(NetifNegotiationTest, NETIF_NEG_010_AsksForCopies) {
  connect({});
  EXPECT_EQ(front_value("request-rx-copy"), "1");
}

TEST_F(NetifNegotiationTest, NETIF_NEG_014_ALinkWithoutCarrierNodeIsUp) {
  connect({});
  EXPECT_EQ(client_.links, std::vector{LinkState::kUp});
}

TEST_F(NetifNegotiationTest, NETIF_NEG_014_TheLinkFollowsTheCarrierNode) {
  connect({{"carrier", "1"}});
  toolstack().write(back("carrier"), "0");
  host_->require("the link to go down", [this] { return vif().link() == LinkState::kDown; });
  toolstack().write(back("carrier"), "1");
  host_->require("the link to come up", [this] { return vif().link() == LinkState::kUp; });
  EXPECT_EQ(client_.links, (std::vector{LinkState::kUp, LinkState::kDown, LinkState::kUp}));
}

TEST_F(NetifNegotiationTest, NETIF_NEG_015_TheMtuIs1500WithoutANode) {
  connect({{"feature-sg", "1"}});
  EXPECT_EQ(vif().mtu(), 1500);
  send(plain_frame(1514));
  EXPECT_EQ(read_packet(take_tx()), plain_frame(1514));
  const uint64_t over = send(plain_frame(1515));
  EXPECT_EQ(ended(over), TxStatus::kOverMtu);
  EXPECT_TRUE(take_tx().empty());
}

TEST_F(NetifNegotiationTest, NETIF_NEG_015_TheMtuNodeIsFollowed) {
  connect({{"feature-sg", "1"}}, {{"mtu", "9000"}});
  EXPECT_EQ(vif().mtu(), 9000);
  send(plain_frame(9014));
  EXPECT_EQ(read_packet(take_tx()), plain_frame(9014));
}

TEST_F(NetifNegotiationTest, NETIF_NEG_015_AnImpossibleMtuCountsAsNone) {
  connect({}, {{"mtu", "12"}});
  EXPECT_EQ(vif().mtu(), 1500);
}

TEST_F(NetifNegotiationTest, NETIF_NEG_016_AnUntrustedPeerGetsNoPageOfTheClient) {
  connect(kAll, {{"trusted", "0"}});
  const Bytes frame = plain_frame(1500);
  send(frame, {.chunk = 700, .offset = 100});
  const auto slots = take_tx();
  ASSERT_FALSE(slots.empty());
  EXPECT_EQ(read_packet(slots), frame);
  EXPECT_EQ(queue().transmit_statistics().granted, 0u);
  EXPECT_EQ(queue().transmit_statistics().copied, 1u);
  // Nothing of the client's page lies around what was sent.
  for (size_t i = 1; i < slots.size(); ++i) EXPECT_EQ(slots[i].offset, 0);
}

}  // namespace
}  // namespace ringside::conformance
