#include "conformance/rig/xen.hpp"
#include "conformance/xennet/adapter_fixture.hpp"

namespace ringside::conformance {
namespace {

using backends::Frame;
using xennet::NdisStatus;

/// Lists sent through vif, rings and netback in each of its profiles.
class XennetSendTest : public AdapterFixture, public testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    build(GetParam());
    run_adapter();
  }
  Frame sent() {
    host_->require("a frame to arrive", [&] { return !port_.received().empty(); });
    return port_.take_received()[0];
  }
};

std::string name_of(const testing::TestParamInfo<std::string>& info) { return info.param; }
INSTANTIATE_TEST_SUITE_P(Profiles, XennetSendTest, testing::Values("linux", "classic", "qnic"),
                         name_of);

/// A frame with an 802.1Q tag put in.
Bytes tagged(Bytes frame, uint16_t tag) {
  std::array<std::byte, 4> bytes;
  xenvif::write_be16(&bytes[0], 0x8100);
  xenvif::write_be16(&bytes[2], tag);
  frame.insert(frame.begin() + 12, bytes.begin(), bytes.end());
  return frame;
}

TEST_P(XennetSendTest, XENNET_001_PacketsOfAnyLayoutArriveWhole) {
  unsigned seed = 0;
  for (const size_t size : {60, 61, 300, 700, 1514}) {
    for (const Layout& how : {Layout{}, Layout{.chunk = 33, .offset = 5},
                              Layout{.chunk = 700, .offset = 3000, .lead = 20}}) {
      const Bytes frame = plain_frame(size, ++seed);
      EXPECT_EQ(send_and_wait(list_of(frame, how)), NdisStatus::kSuccess);
      EXPECT_EQ(sent().bytes, frame);
    }
  }
  GuestList& list = list_of(plain_frame(500));
  list.first->length = 501;
  EXPECT_EQ(send_and_wait(list), NdisStatus::kInvalidPacket);
}

TEST_P(XennetSendTest, XENNET_002_OutOfBandTagsGoIntoEachPacket) {
  GuestList& list = new_list();
  list.vlan = 5u | 0x123u << 4;  // priority 5, VLAN 0x123
  add(list, plain_frame(100, 1), {.chunk = 9});
  add(list, plain_frame(1514, 2), {.chunk = 1000});
  EXPECT_EQ(send_and_wait(list), NdisStatus::kSuccess);
  const auto frames = port_.take_received();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].bytes, tagged(plain_frame(100, 1), 0xa123));
  EXPECT_EQ(frames[1].bytes, tagged(plain_frame(1514, 2), 0xa123));
}

TEST_P(XennetSendTest, XENNET_003_ChecksumsAreRightWhenTheyArrive) {
  for (const uint8_t protocol : {xenvif::kProtocolTcp, xenvif::kProtocolUdp}) {
    for (const unsigned version : {4u, 6u}) {
      const Bytes frame = ip_frame({.version = version, .protocol = protocol, .payload = 900});
      Bytes without = frame;
      if (version == 4) xenvif::write_be16(&without[14 + 10], 0);
      GuestList& list = list_of(without, {.chunk = 250, .offset = 77});
      list.checksum =
          (version == 4 ? xennet::kSendIpv4 | xennet::kSendIpHeaderChecksum : xennet::kSendIpv6) |
          (protocol == xenvif::kProtocolTcp ? xennet::kSendTcpChecksum : xennet::kSendUdpChecksum);
      EXPECT_EQ(send_and_wait(list), NdisStatus::kSuccess);
      const Frame got = sent();
      EXPECT_EQ(got.bytes, got.checksum == Frame::Checksum::kBlank ? with_pseudo_sum(frame)
                                                                   : with_checksum(frame));
    }
  }
}

TEST_P(XennetSendTest, XENNET_003_WhatTheHeadersContradictFailsAlone) {
  using xennet::kSendIpHeaderChecksum;
  using xennet::kSendIpv4, xennet::kSendIpv6, xennet::kSendTcpChecksum, xennet::kSendUdpChecksum;
  const Bytes tcp4 = ip_frame({});
  const Bytes udp6 = ip_frame({.version = 6, .protocol = xenvif::kProtocolUdp});
  const std::vector<std::pair<Bytes, uint32_t>> wrong{
      {tcp4, kSendIpv6 | kSendTcpChecksum},
      {tcp4, kSendIpv4 | kSendUdpChecksum},
      {tcp4, kSendIpv4 | kSendTcpChecksum | kSendUdpChecksum},
      {tcp4, kSendIpv4 | kSendTcpChecksum | 35u << 16},
      {udp6, kSendIpv6 | kSendTcpChecksum},
      {udp6, kSendIpHeaderChecksum},
      {plain_frame(100), kSendIpv4 | kSendTcpChecksum},
      {ip_frame({.fragment = true}), kSendIpv4 | kSendTcpChecksum}};
  for (const auto& [frame, word] : wrong) {
    GuestList& list = list_of(frame);
    list.checksum = word;
    EXPECT_EQ(send_and_wait(list), NdisStatus::kInvalidPacket) << word;
  }
  GuestList& right = list_of(tcp4);
  right.checksum = kSendIpv4 | kSendTcpChecksum | 34u << 16;
  EXPECT_EQ(send_and_wait(right), NdisStatus::kSuccess);
  EXPECT_EQ(port_.received().size(), 1u);
}

TEST_P(XennetSendTest, XENNET_004_ALargeSendGetsThereWholeOrInPieces) {
  for (const unsigned version : {4u, 6u}) {
    Bytes frame = ip_frame({.version = version, .payload = 30000});
    // Windows leaves the length out of the headers of a large send.
    xenvif::write_be16(&frame[version == 4 ? 16 : 18], 0);
    GuestList& list = list_of(frame);
    list.vlan = 9u << 4;
    list.large_send = 1400u | xennet::kLargeSendV2 | (version == 6 ? xennet::kLargeSendIpv6 : 0);
    EXPECT_EQ(send_and_wait(list), NdisStatus::kSuccess);
    EXPECT_EQ(list.large_send, xennet::kLargeSendV2Complete);
    const auto got = port_.take_received();
    const bool whole = version == 4 ? profile_.gso_v4 : profile_.gso_v6;
    ASSERT_EQ(got.size(), whole ? 1u : 22u);
    size_t payload = 0;
    for (const Frame& piece : got) {
      const xenvif::Headers headers = xenvif::parse_headers(piece.bytes);
      EXPECT_EQ(xenvif::read_be16(&piece.bytes[14]), 9);
      EXPECT_TRUE(std::equal(piece.bytes.begin() + headers.length, piece.bytes.end(),
                             frame.begin() + headers.length - 4 + static_cast<long>(payload)));
      if (piece.checksum != Frame::Checksum::kBlank) {
        EXPECT_EQ(piece.bytes, with_checksum(piece.bytes));
      }
      payload += piece.bytes.size() - headers.length;
    }
    EXPECT_EQ(payload, 30000u);
  }
}

TEST_P(XennetSendTest, XENNET_004_WhatIsNoSuchTcpPacketIsNoLargeSend) {
  const uint32_t word = 1400u | xennet::kLargeSendV2;
  const std::vector<std::pair<Bytes, uint32_t>> wrong{
      {ip_frame({.payload = 3000}), word | xennet::kLargeSendIpv6},
      {ip_frame({.payload = 3000}), 1400u},
      {ip_frame({.payload = 3000}), word | 20u << 20},
      {ip_frame({.payload = 0}), word},
      {ip_frame({.protocol = xenvif::kProtocolUdp, .payload = 3000}), word},
      {plain_frame(1000), word}};
  for (const auto& [frame, info] : wrong) {
    GuestList& list = list_of(frame);
    list.large_send = info;
    EXPECT_EQ(send_and_wait(list), NdisStatus::kInvalidPacket) << info;
    EXPECT_EQ(list.large_send, xennet::kLargeSendV2Complete);
  }
  EXPECT_TRUE(port_.received().empty());
}

TEST_P(XennetSendTest, XENNET_005_AFloodOfListsEndsEachOnce) {
  constexpr unsigned kLists = 600;
  xennet::NetBufferList* chain = nullptr;
  std::vector<GuestList*> lists;
  for (unsigned i = 0; i < kLists; ++i) {
    GuestList& list = new_list();
    for (unsigned j = 0; j < i % 4; ++j) add(list, plain_frame(60 + i % 1400, i), {.chunk = 900});
    lists.push_back(&list);
  }
  for (unsigned i = kLists; i-- > 0;) chain = (lists[i]->next = chain, lists[i]);
  guest_->run([&] { adapter().send(chain); }, 1);
  host_->require("all lists to end", [&] { return ndis_->completions.size() == kLists; });
  settle();
  EXPECT_EQ(port_.received().size(), 900u);
  for (GuestList* list : lists) EXPECT_EQ(ended(*list), NdisStatus::kSuccess);
}

TEST_P(XennetSendTest, XENNET_021_AFlowArrivesInOrderWhateverCpuItComesFrom) {
  std::vector<Bytes> frames;
  for (unsigned i = 0; i < 300; ++i) {
    frames.push_back(plain_frame(60 + i, i));
    send(list_of(frames.back()), i % kCpus);
  }
  host_->require("the frames to arrive", [&] { return port_.received().size() == 300; });
  for (unsigned i = 0; i < 300; ++i) ASSERT_EQ(port_.received()[i].bytes, frames[i]) << i;
}

/// More queues than one.
class XennetQueuesTest : public AdapterFixture {
 protected:
  void SetUp() override {
    build("linux", {{"FrontendMaxQueues", 2}});
    run_adapter();
    if (const auto why = chosen_xen_lacks(sim::XenFeature::kUpcallVector)) GTEST_SKIP() << *why;
  }
};

TEST_F(XennetQueuesTest, XENNET_021_EachFlowKeepsToOneQueueAndAllAreUsed) {
  ASSERT_EQ(adapter().vif().queue_count(), 2u);
  constexpr unsigned kFlows = 16;
  constexpr unsigned kFrames = 20;
  for (unsigned i = 0; i < kFlows * kFrames; ++i) {
    Bytes frame = ip_frame({.payload = 100 + i, .seed = i % kFlows});
    send(list_of(frame), i % kCpus);
  }
  host_->require("the frames to arrive",
                 [&] { return port_.received().size() == kFlows * kFrames; });
  std::map<std::byte, size_t> longest;
  for (const Frame& frame : port_.received()) {
    size_t& before = longest[frame.bytes[33]];  // of the flow with this address
    EXPECT_LT(before, frame.bytes.size());
    before = frame.bytes.size();
  }
  EXPECT_EQ(longest.size(), kFlows);
  for (unsigned i = 0; i < 2; ++i) {
    EXPECT_GT(adapter().vif().queue(i).transmit_statistics().packets, kFrames) << i;
  }
}

TEST_F(XennetQueuesTest, XENNET_021_AHashOfTheStacksChoosesTheQueue) {
  for (unsigned i = 0; i < 10; ++i) {
    GuestList& list = list_of(plain_frame(100, i));
    list.hash_info = xennet::kHashToeplitz | xennet::kHashIpv4;
    list.hash_value = 2 * i + 1;
    EXPECT_EQ(send_and_wait(list), NdisStatus::kSuccess);
  }
  EXPECT_EQ(adapter().vif().queue(1).transmit_statistics().packets, 10u);
}

TEST_P(XennetSendTest, XENNET_006_TheFirstFailureIsTheLists) {
  GuestList& list = new_list();
  add(list, plain_frame(100, 1));
  add(list, plain_frame(1600, 2));  // longer than the MTU
  add(list, plain_frame(10, 3));    // no frame
  add(list, plain_frame(100, 5));
  EXPECT_EQ(send_and_wait(list), NdisStatus::kInvalidLength);
  settle();
  EXPECT_EQ(port_.received().size(), 2u) << "the others went out";
  const auto statistics = query<xennet::StatisticsInfo>(xennet::Oid::kGenStatistics);
  EXPECT_EQ(statistics.out_directed_frames, 2u);
  EXPECT_EQ(statistics.out_directed_octets, 200u);
  EXPECT_EQ(statistics.out_errors, 2u);
}

}  // namespace
}  // namespace ringside::conformance
