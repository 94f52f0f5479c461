#include <algorithm>

#include "conformance/netif/played_backend.hpp"

namespace ringside::conformance {
namespace {

using xenvif::TxStatus;

class NetifTransmitTest : public PlayedBackendFixture {};

TEST_F(NetifTransmitTest, NETIF_TX_001_EighteenSlotsAreGrantedInPlace) {
  connect(kAll);
  // 128 bytes are pulled up; 17 pages remain beside them.
  const Bytes frame = plain_frame(128 + 17 * 64);
  send(frame, {.chunk = 64});
  const auto slots = take_tx();
  EXPECT_EQ(slots.size(), 18u);
  EXPECT_EQ(queue().transmit_statistics().granted, 17u);
  EXPECT_EQ(read_packet(slots), frame);
}

TEST_F(NetifTransmitTest, NETIF_TX_001_MoreThanEighteenSlotsAreCopied) {
  connect(kAll);
  const Bytes frame = plain_frame(128 + 18 * 64);
  send(frame, {.chunk = 64});
  const auto slots = take_tx();
  EXPECT_LE(slots.size(), 18u);
  EXPECT_EQ(queue().transmit_statistics().granted, 0u);
  EXPECT_EQ(queue().transmit_statistics().copied, 1u);
  EXPECT_EQ(read_packet(slots), frame);
}

TEST_F(NetifTransmitTest, NETIF_TX_001_TheLongestPacketFitsWhateverItsFragments) {
  connect(kAll, {{"mtu", "65500"}});
  const Bytes frame = plain_frame(65500);
  send(frame, {.chunk = 1000});
  const auto slots = take_tx();
  EXPECT_LE(slots.size(), 18u);
  EXPECT_EQ(read_packet(slots), frame);
}

TEST_F(NetifTransmitTest, NETIF_TX_009_WithoutScatterGatherThereIsOneSlot) {
  connect({});
  const Bytes frame = plain_frame(1514);
  send(frame, {.chunk = 100});
  const auto slots = take_tx();
  ASSERT_EQ(slots.size(), 1u);
  EXPECT_EQ(slots[0].flags, 0);
  EXPECT_EQ(read_packet(slots), frame);
}

TEST_F(NetifTransmitTest, NETIF_TX_009_WhatOnePageCannotHoldIsDroppedWithTheReason) {
  connect({}, {{"mtu", "9000"}});
  const uint64_t fits = send(plain_frame(4096));
  const uint64_t too_long = send(plain_frame(4097));
  EXPECT_EQ(ended(too_long), TxStatus::kTooLongForPeer);
  const auto slots = take_tx();
  ASSERT_EQ(slots.size(), 1u);
  answer_all(slots);
  push_tx();
  EXPECT_EQ(ended(fits), TxStatus::kSent);
}

TEST_F(NetifTransmitTest, NETIF_TX_017_TheFirstSlotCarriesTheTotal) {
  connect(kAll);
  const Bytes frame = plain_frame(1500);
  send(frame, {.chunk = 600, .checksum = xenvif::Checksum::kValidated});
  const auto slots = take_tx();
  ASSERT_GE(slots.size(), 3u);
  EXPECT_EQ(slots[0].size, frame.size());
  EXPECT_EQ(slots[0].flags, NETTXF_data_validated | NETTXF_more_data);
  unsigned others = 0;
  for (size_t i = 1; i < slots.size(); ++i) {
    EXPECT_EQ(slots[i].flags, i + 1 < slots.size() ? NETTXF_more_data : 0u);
    others += slots[i].size;
  }
  EXPECT_LT(others, frame.size());
  EXPECT_EQ(read_packet(slots), frame);
}

TEST_F(NetifTransmitTest, NETIF_TX_018_EachSlotStaysInItsPage) {
  connect(kAll, {{"mtu", "9000"}});
  const Bytes frame = plain_frame(9000);
  send(frame, {.chunk = 1096, .offset = 3000});
  for (const netif_tx_request_t& slot : take_tx()) {
    if (slot.size == frame.size()) continue;  // the first: its size is the packet's
    EXPECT_LE(slot.offset + slot.size, 4096);
  }
}

TEST_F(NetifTransmitTest, NETIF_TX_018_TooLongPacketsAndBadFragmentsEndAtOnce) {
  connect(kAll);
  EXPECT_EQ(ended(send(plain_frame(65536))), TxStatus::kTooLong);
  EXPECT_EQ(ended(send(Bytes{})), TxStatus::kBadFragment);
  const auto laid = lay_out(plain_frame(100));
  xenvif::Fragment beyond = laid[0];
  beyond.offset = 4000;
  guest_->run([&] { EXPECT_EQ(transmit({&beyond, 1}), Status::kOk); });
  EXPECT_EQ(ended(cookie_), TxStatus::kBadFragment);
  EXPECT_TRUE(take_tx().empty());
}

TEST_F(NetifTransmitTest, NETIF_TX_021_ResponsesMayComeInAnyOrder) {
  connect(kAll);
  std::vector<uint64_t> cookies;
  for (unsigned i = 0; i < 8; ++i) cookies.push_back(send(plain_frame(1400, i)));
  auto slots = take_tx();
  std::reverse(slots.begin(), slots.end());
  answer_all(slots);
  push_tx();
  for (const uint64_t cookie : cookies) EXPECT_EQ(ended(cookie), TxStatus::kSent);
}

TEST_F(NetifTransmitTest, NETIF_TX_021_TheWorstStatusOfAPacketCounts) {
  connect(kAll);
  const uint64_t dropped = send(plain_frame(1400));
  auto slots = take_tx();
  ASSERT_EQ(slots.size(), 2u);
  answer(slots[0].id, NETIF_RSP_OKAY);
  answer(slots[1].id, NETIF_RSP_DROPPED);
  const uint64_t odd = send(plain_frame(60));
  answer(take_tx()[0].id, 42);
  push_tx();
  EXPECT_EQ(ended(dropped), TxStatus::kDroppedByPeer);
  EXPECT_EQ(ended(odd), TxStatus::kRejectedByPeer);
}

TEST_F(NetifTransmitTest, NETIF_TX_021_APacketEndsOnlyWithItsLastSlot) {
  connect(kAll);
  const uint64_t cookie = send(plain_frame(1400));
  const auto slots = take_tx();
  ASSERT_EQ(slots.size(), 2u);
  answer(slots[1].id, NETIF_RSP_OKAY);
  push_tx();
  EXPECT_FALSE(ended(cookie));
  answer(slots[0].id, NETIF_RSP_OKAY);
  push_tx();
  EXPECT_EQ(ended(cookie), TxStatus::kSent);
}

TEST_F(NetifTransmitTest, NETIF_TX_021_AnIdThatWasNeverUsedClosesTheDevice) {
  connect(kAll);
  const uint64_t cookie = send(plain_frame(60));
  (void)take_tx();
  answer(0x7fff, NETIF_RSP_OKAY);
  push_tx();
  leave();
  host_->require("the device to close",
                 [this] { return vif().link() == xenvif::LinkState::kDown; });
  settle();
  EXPECT_EQ(ended(cookie), TxStatus::kDisconnected);
}

TEST_F(NetifTransmitTest, NETIF_TX_021_ARequestAnsweredTwiceClosesTheDevice) {
  connect(kAll);
  const uint64_t first = send(plain_frame(60));
  const uint64_t second = send(plain_frame(60));
  const auto slots = take_tx();
  answer(slots[0].id, NETIF_RSP_OKAY);
  answer(slots[0].id, NETIF_RSP_OKAY);
  push_tx();
  EXPECT_EQ(ended(first), TxStatus::kSent);
  leave();
  host_->require("the packet to end", [&] { return ended(second).has_value(); });
  EXPECT_EQ(ended(second), TxStatus::kDisconnected);
}

TEST_F(NetifTransmitTest, NETIF_TX_020_AnAnswerForAnExtraThatWasNotSentClosesTheDevice) {
  connect(kAll);
  send(plain_frame(60));
  (void)take_tx();
  answer(0, NETIF_RSP_NULL);
  push_tx();
  host_->require("the device to close",
                 [this] { return vif().link() == xenvif::LinkState::kDown; });
}

TEST_F(NetifTransmitTest, NETIF_TX_027_AllHeadersLieInTheFirstSlot) {
  connect(kAll);
  const Bytes frame = ip_frame({.version = 6, .payload = 1200});
  // One byte in each of the first pages: the headers are spread over many fragments.
  std::vector<xenvif::Fragment> fragments;
  for (size_t i = 0; i < 80; ++i) fragments.push_back(lay_out({frame[i]})[0]);
  fragments.push_back(lay_out(Bytes(frame.begin() + 80, frame.end()))[0]);
  guest_->run([&] {
    EXPECT_EQ(transmit(fragments), Status::kOk);
    queue().flush();
  });
  const auto slots = take_tx();
  ASSERT_GE(slots.size(), 1u);
  unsigned first = slots[0].size;
  for (size_t i = 1; i < slots.size(); ++i) first -= slots[i].size;
  EXPECT_GE(first, xenvif::parse_headers(frame).length);
  EXPECT_EQ(read_packet(slots), frame);
}

TEST_F(NetifTransmitTest, NETIF_TX_039_ShortFramesArePaddedWithZeros) {
  connect(kAll);
  for (size_t size : {1u, 14u, 59u, 60u}) {
    const Bytes frame = plain_frame(size);
    send(frame);
    const auto slots = take_tx();
    ASSERT_EQ(slots.size(), 1u);
    EXPECT_EQ(slots[0].size, 60);
    Bytes padded = frame;
    padded.resize(60);
    EXPECT_EQ(read_packet(slots), padded);
    answer_all(slots);
    push_tx();
  }
}

TEST_F(NetifTransmitTest, NETIF_TX_039_PaddingShowsNothingOfAnEarlierPacket) {
  connect(kAll);
  for (unsigned i = 0; i < 300; ++i) {
    const bool full = i % 2 == 0;
    send(full ? plain_frame(500, i) : Bytes(20, std::byte{0x11}));
    const auto slots = take_tx();
    ASSERT_EQ(slots.size(), 1u);
    if (!full) {
      const Bytes sent = read_packet(slots);
      EXPECT_TRUE(std::all_of(sent.begin() + 20, sent.end(),
                              [](std::byte b) { return b == std::byte{0}; }));
    }
    answer_all(slots);
    push_tx();
  }
}

TEST_F(NetifTransmitTest, NETIF_TX_040_ARefusedPacketDoesNotStopTheRing) {
  connect(kAll);
  const uint64_t refused = send(plain_frame(1400, 1));
  answer_all(take_tx(), NETIF_RSP_ERROR);
  push_tx();
  EXPECT_EQ(ended(refused), TxStatus::kRejectedByPeer);
  const uint64_t next = send(plain_frame(1400, 2));
  const auto slots = take_tx();
  EXPECT_EQ(read_packet(slots), plain_frame(1400, 2));
  answer_all(slots);
  push_tx();
  EXPECT_EQ(ended(next), TxStatus::kSent);
}

TEST_F(NetifTransmitTest, NETIF_TX_041_EmptyFragmentsTakeNoSlot) {
  connect(kAll);
  const Bytes frame = plain_frame(1200);
  const auto laid = lay_out(frame, {.chunk = 600});
  const std::vector<xenvif::Fragment> fragments{{}, laid[0], {}, {}, laid[1], {}};
  guest_->run([&] {
    EXPECT_EQ(transmit(fragments), Status::kOk);
    queue().flush();
  });
  const auto slots = take_tx();
  for (const netif_tx_request_t& slot : slots) EXPECT_GT(slot.size, 0);
  EXPECT_EQ(read_packet(slots), frame);
}

TEST_F(NetifTransmitTest, NETIF_TX_042_ATagInBandDoesNotCountAgainstTheMtu) {
  connect(kAll);
  // 1500 bytes of IP behind one tag: a frame of 1518 bytes.
  const Bytes frame = ip_frame({.payload = 1460, .vlan_tags = 1});
  ASSERT_EQ(frame.size(), 1518u);
  send(frame);
  EXPECT_EQ(read_packet(take_tx()), frame);
  EXPECT_EQ(ended(send(ip_frame({.payload = 1461, .vlan_tags = 1}))), TxStatus::kOverMtu);
}

TEST_F(NetifTransmitTest, NETIF_TX_048_AFullRingBlocksAndSaysWhenThereIsRoom) {
  connect(kAll);
  const auto fragments = lay_out(plain_frame(100));
  unsigned taken = 0;
  guest_->run([&] {
    while (transmit(fragments) == Status::kOk) ++taken;
    queue().flush();
  });
  EXPECT_GT(taken, 200u);
  EXPECT_LE(taken, 256u);
  EXPECT_EQ(client_.rooms, 0u);
  const auto slots = take_tx();
  EXPECT_EQ(slots.size(), taken);
  answer_all(slots);
  push_tx();
  EXPECT_EQ(client_.rooms, 1u);
  EXPECT_EQ(client_.completed(TxStatus::kSent), taken);
  // And from within room() the ring can be filled again.
  EXPECT_EQ(ended(send(plain_frame(60))), std::nullopt);
  EXPECT_EQ(take_tx().size(), 1u);
}

TEST_F(NetifTransmitTest, NETIF_TX_048_NotifiesWhenAskedAndOnlyThen) {
  connect(kAll);
  ASSERT_TRUE(tx_.arm());
  const auto drained = [this] {
    settle();
    unsigned events = 0;
    for (int port; (port = xenevtchn_pending(events_)) >= 0; ++events) {
      xenevtchn_unmask(events_, static_cast<evtchn_port_t>(port));
    }
    return events;
  };
  (void)drained();
  send(plain_frame(60));
  EXPECT_EQ(drained(), 1u);
  send(plain_frame(60));  // not asked again: silence
  EXPECT_EQ(drained(), 0u);
  EXPECT_EQ(take_tx().size(), 2u);
  ASSERT_TRUE(tx_.arm());
  send(plain_frame(60));
  EXPECT_EQ(drained(), 1u);
}

TEST_F(NetifTransmitTest, NETIF_TX_045_UnansweredPacketsEndAsDisconnectedOnce) {
  connect(kAll);
  const uint64_t answered = send(plain_frame(1400));
  answer_all(take_tx());
  push_tx();
  const uint64_t half = send(plain_frame(1400));
  answer(take_tx()[0].id, NETIF_RSP_OKAY);
  push_tx();
  const uint64_t waiting = send(plain_frame(60));
  leave();
  host_->require("the packets to end", [&] { return ended(waiting).has_value(); });
  EXPECT_EQ(ended(answered), TxStatus::kSent);
  EXPECT_EQ(ended(half), TxStatus::kDisconnected);
  EXPECT_EQ(ended(waiting), TxStatus::kDisconnected);
}

TEST_F(NetifTransmitTest, NETIF_TX_045_APageThePeerStillMapsIsNotGivenBackAsFree) {
  connect(kAll);
  const uint64_t cookie = send(plain_frame(1400));
  const auto slots = take_tx();
  ASSERT_EQ(slots.size(), 2u);
  void* held = xengnttab_map_grant_ref(grants_, guest_->domid(), slots[1].gref, PROT_READ);
  ASSERT_NE(held, nullptr);
  answer_all(slots);
  push_tx();
  EXPECT_FALSE(ended(cookie)) << "the peer can still read the page";
  xengnttab_unmap(grants_, held, 1);
  host_->require("the packet to end", [&] { return ended(cookie).has_value(); });
  EXPECT_EQ(ended(cookie), TxStatus::kSent);
}

}  // namespace
}  // namespace ringside::conformance
