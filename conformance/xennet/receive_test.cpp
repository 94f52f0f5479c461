#include "conformance/xennet/adapter_fixture.hpp"

namespace ringside::conformance {
namespace {

using backends::Frame;
using xennet::NdisStatus;
using xennet::Oid;

class XennetReceiveTest : public AdapterFixture {
 protected:
  void SetUp() override { start({}); }
  void start(const std::map<std::string, uint32_t>& settings) {
    build("linux", settings);
    run_adapter();
  }
  /// The one frame that comes up for this one.
  RecordingNdis::Received receive(Bytes bytes,
                                  Frame::Checksum checksum = Frame::Checksum::kUnknown) {
    ndis_->frames.clear();
    inject(std::move(bytes), checksum);
    return wait_received(1)[0];
  }
  void set_offloads(const xennet::OffloadParameters& parameters) {
    EXPECT_EQ(set(Oid::kTcpOffloadParameters, parameters), NdisStatus::kSuccess);
  }
  static xennet::OffloadParameters offloads() {
    xennet::OffloadParameters parameters{};
    parameters.header = {xennet::kTypeDefault, 3, xennet::kOffloadParameters3};
    return parameters;
  }
};

Bytes broken(Bytes frame) {
  frame.back() ^= std::byte{1};
  return frame;
}

TEST_F(XennetReceiveTest, XENNET_009_WhatIsSaidOfChecksumsIsSo) {
  for (const uint8_t protocol : {xenvif::kProtocolTcp, xenvif::kProtocolUdp}) {
    const bool tcp = protocol == xenvif::kProtocolTcp;
    const uint32_t good = tcp ? xennet::kTcpChecksumSucceeded : xennet::kUdpChecksumSucceeded;
    const uint32_t bad = tcp ? xennet::kTcpChecksumFailed : xennet::kUdpChecksumFailed;
    for (const unsigned version : {4u, 6u}) {
      const uint32_t ip = version == 4 ? xennet::kIpChecksumSucceeded : 0u;
      for (const size_t payload : {20, 1400}) {
        const Bytes frame =
            ip_frame({.version = version, .protocol = protocol, .payload = payload});
        const Bytes right = with_checksum(frame);
        auto got = receive(with_pseudo_sum(frame), Frame::Checksum::kBlank);
        EXPECT_EQ(got.checksum, good | ip);
        EXPECT_EQ(got.bytes, right) << "filled in";
        EXPECT_EQ(receive(broken(right), Frame::Checksum::kValidated).checksum, good | ip);
        EXPECT_EQ(receive(right).checksum, good | ip);
        EXPECT_EQ(receive(broken(right)).checksum, bad | ip);
      }
    }
  }
  Bytes header = with_checksum(ip_frame({}));
  header[14 + 8] = std::byte{63};  // another time to live than that of the sum
  EXPECT_EQ(receive(header).checksum, xennet::kIpChecksumFailed | xennet::kTcpChecksumSucceeded);
  EXPECT_EQ(receive(ip_frame({})).checksum,
            xennet::kIpChecksumSucceeded | xennet::kTcpChecksumFailed)
      << "zero is no checksum of TCP";
  Bytes none = ip_frame({.protocol = xenvif::kProtocolUdp});
  EXPECT_EQ(receive(none).checksum, xennet::kIpChecksumSucceeded | xennet::kUdpChecksumSucceeded);
  EXPECT_EQ(receive(plain_frame(300)).checksum, 0u);
}

TEST_F(XennetReceiveTest, XENNET_009_NothingIsSaidWithTheOffloadDisabled) {
  xennet::OffloadParameters off = offloads();
  off.ip_v4 = off.tcp_v4 = xennet::kOffloadDisabled;
  off.udp_v4 = 2;  // sending only
  set_offloads(off);
  for (const uint8_t protocol : {xenvif::kProtocolTcp, xenvif::kProtocolUdp}) {
    const Bytes frame = ip_frame({.protocol = protocol});
    const auto got = receive(with_pseudo_sum(frame), Frame::Checksum::kBlank);
    EXPECT_EQ(got.checksum, 0u);
    EXPECT_EQ(got.bytes, with_checksum(frame)) << "the stack is going to look";
  }
  const Bytes v6 = with_checksum(ip_frame({.version = 6}));
  EXPECT_EQ(receive(v6).checksum, xennet::kTcpChecksumSucceeded);
}

TEST_F(XennetReceiveTest, XENNET_011_OnlyWhatTheFilterAdmitsComesUp) {
  const auto to = [](const std::array<uint8_t, 6>& destination) {
    Bytes frame = plain_frame(300);
    std::memcpy(frame.data(), destination.data(), destination.size());
    return frame;
  };
  const std::vector<Bytes> frames{
      to({0x00, 0x16, 0x3e, 0x00, 0x00, 0x01}), to({0x00, 0x16, 0x3e, 0x00, 0x00, 0x02}),
      to({0x01, 0x00, 0x5e, 0x00, 0x00, 0x01}), to({0x33, 0x33, 0x00, 0x00, 0x00, 0x01}),
      to({0xff, 0xff, 0xff, 0xff, 0xff, 0xff})};
  const std::array<uint8_t, 6> list{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01};
  EXPECT_EQ(set(Oid::k8023MulticastList, list), NdisStatus::kSuccess);
  const std::vector<std::pair<uint32_t, std::vector<size_t>>> wanted{
      {0, {}},
      {xennet::kFilterDirected, {0}},
      {xennet::kFilterMulticast, {2}},
      {xennet::kFilterAllMulticast, {2, 3}},
      {xennet::kFilterBroadcast, {4}},
      {xennet::kFilterDirected | xennet::kFilterBroadcast | xennet::kFilterMulticast, {0, 2, 4}},
      {xennet::kFilterPromiscuous, {0, 1, 2, 3, 4}}};
  for (const auto& [filter, which] : wanted) {
    ndis_->frames.clear();
    set_filter(filter);
    for (const Bytes& frame : frames) inject(frame);
    host_->require("the frames to be taken", [&] { return port_.waiting() == 0; });
    settle();
    ASSERT_EQ(ndis_->frames.size(), which.size()) << filter;
    for (size_t i = 0; i < which.size(); ++i) EXPECT_EQ(ndis_->frames[i].bytes, frames[which[i]]);
  }
  EXPECT_NE(set(Oid::kGenCurrentPacketFilter, uint32_t{0x40}), NdisStatus::kSuccess);
  const auto statistics = query<xennet::StatisticsInfo>(Oid::kGenStatistics);
  EXPECT_EQ(statistics.in_directed_frames, 4u);
  EXPECT_EQ(statistics.in_multicast_frames, 6u);
  EXPECT_EQ(statistics.in_broadcast_frames, 3u);
}

TEST_F(XennetReceiveTest, XENNET_025_TheBackEndDropsWhatNobodyWants) {
  if (!profile_.multicast_dynamic) GTEST_SKIP() << "this back end filters nothing while connected";
  const auto multicast = [](unsigned last) {
    Bytes frame = plain_frame(300);
    const std::array<uint8_t, 6> to{0x01, 0x00, 0x5e, 0x00, 0x00, static_cast<uint8_t>(last)};
    std::memcpy(frame.data(), to.data(), to.size());
    return frame;
  };
  const std::array<uint8_t, 6> list{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01};
  EXPECT_EQ(set(Oid::k8023MulticastList, list), NdisStatus::kSuccess);
  const auto filtered = [&](uint32_t filter) {
    set_filter(filter);
    settle();
    const uint64_t before = (*netback_)->statistics(guest_->domid(), 0).filtered;
    for (unsigned last = 0; last < 4; ++last) inject(multicast(last));
    settle();
    return (*netback_)->statistics(guest_->domid(), 0).filtered - before;
  };
  EXPECT_EQ(filtered(xennet::kFilterDirected | xennet::kFilterMulticast), 3u);
  EXPECT_EQ(filtered(xennet::kFilterAllMulticast), 0u);
  EXPECT_EQ(filtered(xennet::kFilterPromiscuous), 0u);
  EXPECT_EQ(filtered(xennet::kFilterDirected), 3u);
}

TEST_F(XennetReceiveTest, XENNET_012_ATagComesUpOutOfBand) {
  for (const size_t payload : {10, 1300}) {
    const Bytes plain = with_checksum(ip_frame({.payload = payload}));
    const auto got = receive(with_checksum(ip_frame({.payload = payload, .vlan_tags = 1})));
    EXPECT_EQ(got.bytes, plain);
    EXPECT_EQ(got.vlan, 5u << 4);
    EXPECT_EQ(got.checksum, xennet::kIpChecksumSucceeded | xennet::kTcpChecksumSucceeded);
  }
  EXPECT_EQ(receive(plain_frame(100)).vlan, 0u);
}

TEST_F(XennetReceiveTest, XENNET_010_PagesComeBackWhenTheLastListHas) {
  ndis_->keep = true;
  for (unsigned round = 0; round < 6; ++round) {
    const size_t before = ndis_->frames.size();
    for (unsigned i = 0; i < 150; ++i) inject(plain_frame(60 + 9 * i, i));
    wait_received(before + 150);
    // Any order, and from either CPU.
    auto kept = std::exchange(ndis_->kept, {});
    std::reverse(kept.begin(), kept.begin() + static_cast<long>(kept.size() / 2));
    for (unsigned cpu = 0; cpu < kCpus; ++cpu) {
      guest_->run(
          [&] {
            for (size_t i = cpu; i < kept.size(); i += kCpus) {
              kept[i]->next = nullptr;
              adapter().return_lists(kept[i]);
            }
          },
          cpu);
    }
    settle();
  }
  for (unsigned i = 0; i < 900; ++i) {
    ASSERT_EQ(ndis_->frames[i].bytes, plain_frame(60 + 9 * (i % 150), i % 150)) << i;
  }
}

TEST_F(XennetReceiveTest, XENNET_013_ReceptionGoesOnWhileTheProtocolKeepsAll) {
  ndis_->keep = true;
  constexpr unsigned kFrames = 2000;
  for (unsigned i = 0; i < kFrames; ++i) inject(plain_frame(60 + i % 1400, i));
  wait_received(kFrames);
  unsigned lent = 0;
  for (unsigned i = 0; i < kFrames; ++i) {
    ASSERT_EQ(ndis_->frames[i].bytes, plain_frame(60 + i % 1400, i)) << i;
    if (ndis_->frames[i].flags & xennet::kReceiveResources) ++lent;
  }
  EXPECT_GT(lent, kFrames / 2);
  EXPECT_EQ(lent + ndis_->kept.size(), kFrames);
  return_kept();
  ndis_->frames.clear();
  inject(plain_frame(1000));
  EXPECT_EQ(wait_received(1)[0].flags & xennet::kReceiveResources, 0u) << "there is plenty again";
}

TEST_F(XennetReceiveTest, XENNET_014_ALargePacketComesUpWholeOrInSegments) {
  const Bytes v4 = ip_frame({.payload = 30000});
  const Bytes v6 = ip_frame({.version = 6, .payload = 30000});
  inject(with_pseudo_sum(v4), Frame::Checksum::kBlank, Frame::GsoType::kTcpV4, 1400);
  const auto whole = wait_received(1)[0];
  EXPECT_EQ(whole.bytes, with_checksum(v4));
  EXPECT_EQ(whole.coalesced, 22u);
  EXPECT_EQ(whole.checksum, xennet::kIpChecksumSucceeded | xennet::kTcpChecksumSucceeded);

  xennet::OffloadParameters off = offloads();
  off.coalesce_v4 = off.coalesce_v6 = xennet::kOffloadDisabled;
  set_offloads(off);
  ndis_->keep = true;
  for (const Bytes& frame : {v4, v6}) {
    const bool is_v4 = &frame == &v4 || frame.size() == v4.size();
    ndis_->frames.clear();
    inject(with_pseudo_sum(frame), Frame::Checksum::kBlank,
           is_v4 ? Frame::GsoType::kTcpV4 : Frame::GsoType::kTcpV6, 1400);
    wait_received(22);
    const size_t headers = xenvif::parse_headers(frame).length;
    Bytes payload;
    for (const auto& segment : ndis_->frames) {
      EXPECT_EQ(segment.bytes, with_checksum(segment.bytes));
      EXPECT_EQ(segment.coalesced, 0u);
      EXPECT_EQ(
          xenvif::read_be32(&segment.bytes[xenvif::parse_headers(segment.bytes).transport + 4]),
          1000 + payload.size());
      payload.insert(payload.end(), segment.bytes.begin() + static_cast<long>(headers),
                     segment.bytes.end());
    }
    EXPECT_EQ(payload, Bytes(frame.begin() + static_cast<long>(headers), frame.end()));
    std::reverse(ndis_->kept.begin(), ndis_->kept.end());
    return_kept();
  }
}

TEST_F(XennetReceiveTest, XENNET_008_APauseWaitsForWhatIsUp) {
  ndis_->keep = true;
  for (unsigned i = 0; i < 20; ++i) inject(plain_frame(1000, i));
  wait_received(20);
  begin_pause();
  for (unsigned i = 0; i < 20; ++i) inject(plain_frame(1000, i));
  settle();
  EXPECT_EQ(ndis_->pauses, 0u);
  EXPECT_EQ(ndis_->frames.size(), 20u) << "nothing comes up any more";
  xennet::NetBufferList* last = ndis_->kept.back();
  ndis_->kept.pop_back();
  return_kept();
  settle();
  EXPECT_EQ(ndis_->pauses, 0u);
  guest_->run([&] { adapter().return_lists(last); }, 1);
  host_->require("the pause to complete", [&] { return ndis_->pauses == 1; });
  settle();
  EXPECT_EQ(ndis_->pauses, 1u);
  restart();
  inject(plain_frame(60, 99));
  EXPECT_EQ(wait_received(21)[20].bytes, plain_frame(60, 99));
}

/// OID_GEN_RECEIVE_SCALE_PARAMETERS with what it refers to.
struct Scaling {
  xennet::ReceiveScaleParameters parameters{};
  std::array<std::byte, 40> key{};
  std::array<xennet::ProcessorNumber, 4> table{};
};

// Source: Microsoft, "Verifying the RSS Hash Calculation".
constexpr std::array<uint8_t, 40> kKey{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                       0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                       0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                       0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

/// 66.9.149.187:2794 -> 161.142.100.80:1766, the first of the published vectors.
Bytes published_frame() {
  Bytes frame = ip_frame({});
  xenvif::write_be32(&frame[26], 0x420995bb);
  xenvif::write_be32(&frame[30], 0xa18e6450);
  xenvif::write_be16(&frame[34], 2794);
  xenvif::write_be16(&frame[36], 1766);
  return frame;
}

TEST_F(XennetReceiveTest, XENNET_015_PacketsCarryTheirHashAndGoWhereTheTableSays) {
  Scaling scaling;
  scaling.parameters = {
      .header = {xennet::kTypeRssParameters, 2, xennet::kReceiveScaleParameters2},
      .flags = 0,
      .base_cpu = 0,
      .hash_info = xennet::kHashToeplitz | xennet::kHashIpv4 | xennet::kHashTcpIpv4,
      .table_size = sizeof(scaling.table),
      .padding = 0,
      .table_offset = offsetof(Scaling, table),
      .key_size = sizeof(scaling.key),
      .padding2 = 0,
      .key_offset = offsetof(Scaling, key),
      .masks_offset = 0,
      .masks = 0,
      .mask_size = 0};
  std::memcpy(scaling.key.data(), kKey.data(), kKey.size());
  // 0x51ccc178 and 0x323e8fc2 end in 0 and 2.
  scaling.table[0].number = 1;
  EXPECT_EQ(set(Oid::kGenReceiveScaleParameters, scaling), NdisStatus::kSuccess);
  auto got = receive(published_frame());
  EXPECT_EQ(got.hash_value, 0x51ccc178u);
  EXPECT_EQ(got.hash_info, xennet::kHashToeplitz | xennet::kHashTcpIpv4);
  EXPECT_EQ(got.cpu, 1u);
  Bytes fragment = published_frame();
  xenvif::write_be16(&fragment[20], 0x2000);  // has no ports that count
  got = receive(fragment);
  EXPECT_EQ(got.hash_value, 0x323e8fc2u);
  EXPECT_EQ(got.hash_info, xennet::kHashToeplitz | xennet::kHashIpv4);
  EXPECT_EQ(got.cpu, 0u);
  EXPECT_EQ(receive(ip_frame({.version = 6})).hash_info, 0u);

  scaling.parameters.flags = xennet::kRssDisable;
  EXPECT_EQ(set(Oid::kGenReceiveScaleParameters, scaling), NdisStatus::kSuccess);
  EXPECT_EQ(receive(published_frame()).hash_info, 0u);

  struct {
    xennet::ReceiveHashParameters parameters;
    std::array<uint8_t, 40> key = kKey;
  } hash{};
  hash.parameters = {.header = {xennet::kTypeDefault, 1, sizeof(xennet::ReceiveHashParameters)},
                     .flags = xennet::kHashEnable,
                     .hash_info = xennet::kHashToeplitz | xennet::kHashTcpIpv4,
                     .key_size = 40,
                     .padding = 0,
                     .key_offset = sizeof(xennet::ReceiveHashParameters)};
  EXPECT_EQ(set(Oid::kGenReceiveHash, hash), NdisStatus::kSuccess);
  settle();  // the back end steers as it was told before
  got = receive(published_frame());
  EXPECT_EQ(got.hash_value, 0x51ccc178u);
  EXPECT_EQ(got.cpu, 0u);
}

class XennetSettingsTest : public XennetReceiveTest {
 protected:
  void SetUp() override {}
};

TEST_F(XennetSettingsTest, XENNET_016_KeywordsDisableFromTheBeginning) {
  start({{"*TCPChecksumOffloadIPv4", 1},
         {"*IPChecksumOffloadIPv4", 0},
         {"*LSOV2IPv4", 0},
         {"LROIPv6", 0},
         {"*RSS", 0},
         {"*PriorityVLANTag", 0},
         {"NeedChecksumValue", 0}});
  const auto offload = query<xennet::Offload>(Oid::kTcpOffloadCurrentConfig);
  EXPECT_EQ(offload.large_send_v4.max_size, 0u);
  EXPECT_NE(offload.large_send_v6.max_size, 0u);
  EXPECT_EQ(offload.coalesce_v4, 1);
  EXPECT_EQ(offload.coalesce_v6, 0);
  EXPECT_EQ(offload.send_v4.bits >> 4 & 1, 1u) << "TCP";
  EXPECT_EQ(offload.receive_v4.bits >> 4 & 1, 0u);
  EXPECT_EQ(offload.receive_v4.bits >> 6 & 1, 1u) << "UDP";
  EXPECT_EQ(offload.send_v4.bits >> 8 & 1, 0u) << "IP";
  EXPECT_EQ(receive(with_checksum(ip_frame({}))).checksum, 0u);
  const Bytes udp = with_pseudo_sum(ip_frame({.protocol = xenvif::kProtocolUdp}));
  const auto got = receive(udp, Frame::Checksum::kBlank);
  EXPECT_EQ(got.checksum, xennet::kUdpChecksumSucceeded | xennet::kTcpChecksumValueInvalid);
  EXPECT_EQ(got.bytes, udp);
  EXPECT_EQ(query<uint32_t>(Oid::kGenMacOptions) & 0x240, 0u);
  const Bytes tagged = ip_frame({.vlan_tags = 1});
  EXPECT_EQ(receive(tagged).bytes, tagged);
  EXPECT_EQ(set(Oid::kGenReceiveScaleParameters, Scaling{}), NdisStatus::kInvalidLength);
  Scaling scaling;
  scaling.parameters.header = {xennet::kTypeRssParameters, 2, xennet::kReceiveScaleParameters2};
  EXPECT_EQ(set(Oid::kGenReceiveScaleParameters, scaling), NdisStatus::kNotSupported);
}

}  // namespace
}  // namespace ringside::conformance
