#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "conformance/rig/options.hpp"
#include "protocols/xennet/oids.hpp"
#include "protocols/xennet/packet_info.hpp"

namespace ringside::conformance {
namespace {

using xennet::NdisStatus;
using xennet::Oid;
using xennet::OidRequest;

/// OIDs over an adapter that only counts.
class XennetOidTest : public testing::Test, protected xennet::Oids::Host {
 protected:
  XennetOidTest() : oids_(*this) { oids_.start({}); }

  xennet::Statistics statistics() override { return statistics_; }
  bool link_is_up() override { return up_; }
  uint16_t mtu() override { return 1500; }
  xennet::MacAddress permanent_address() override { return {0, 0x16, 0x3e, 1, 2, 3}; }
  NdisStatus set_power(xennet::PowerState state) override {
    power_ = state;
    return NdisStatus::kSuccess;
  }
  void configured(const xennet::Configuration& configuration) override {
    configuration_ = configuration;
    ++configured_;
  }
  void indicate(NdisStatus status, std::span<const std::byte> what) override {
    EXPECT_EQ(status, NdisStatus::kOffloadConfig);
    ASSERT_EQ(what.size(), sizeof(indicated_));
    std::memcpy(&indicated_, what.data(), what.size());
    ++indications_;
  }

  struct Answer {
    NdisStatus status;
    std::vector<std::byte> bytes;  ///< the buffer
    uint32_t done, needed;
  };
  Answer query(Oid oid, size_t length, std::byte fill = std::byte{0xee}) {
    std::vector<std::byte> buffer(length, fill);
    OidRequest request{.oid = oid, .buffer = buffer};
    const NdisStatus status = oids_.query(request);
    return {status, buffer, request.done, request.needed};
  }
  Answer set_bytes(Oid oid, std::vector<std::byte> bytes) {
    OidRequest request{.oid = oid, .buffer = bytes};
    const NdisStatus status = oids_.set(request);
    return {status, bytes, request.done, request.needed};
  }
  template <typename T>
  NdisStatus set(Oid oid, const T& value, size_t length = sizeof(T)) {
    std::vector<std::byte> bytes(length);
    if (length > 0) std::memcpy(bytes.data(), &value, std::min(length, sizeof(T)));
    return set_bytes(oid, bytes).status;
  }
  template <typename T>
  T get(Oid oid) {
    const Answer answer = query(oid, sizeof(T));
    EXPECT_EQ(answer.status, NdisStatus::kSuccess) << std::hex << static_cast<uint32_t>(oid);
    T value;
    std::memcpy(&value, answer.bytes.data(), sizeof(T));
    return value;
  }
  static xennet::OffloadParameters parameters() {
    xennet::OffloadParameters all{};
    all.header = {xennet::kTypeDefault, 3, xennet::kOffloadParameters3};
    return all;
  }

  xennet::Statistics statistics_;
  bool up_ = true;
  xennet::PowerState power_ = xennet::PowerState::kD0;
  xennet::Configuration configuration_;
  unsigned configured_ = 0;
  xennet::Offload indicated_{};
  unsigned indications_ = 0;
  xennet::Oids oids_;
};

constexpr size_t kLargest = 1024;

TEST_F(XennetOidTest, XENNET_018_AShortBufferIsToldHowLongItHasToBe) {
  for (const Oid oid : xennet::Oids::supported()) {
    const Answer whole = query(oid, kLargest, std::byte{1});
    if (whole.status != NdisStatus::kSuccess || whole.done == 0) continue;
    const Answer counter = query(oid, 4);
    const bool is_counter = whole.done == 8 && counter.status == NdisStatus::kSuccess;
    if (is_counter) {
      EXPECT_EQ(counter.done, 4u);
      EXPECT_EQ(counter.needed, 8u);
    }
    for (size_t length = 0; length < (is_counter ? 4 : whole.done); ++length) {
      const Answer shorter = query(oid, length);
      EXPECT_EQ(shorter.status, NdisStatus::kBufferTooShort);
      EXPECT_EQ(shorter.done, 0u);
      EXPECT_EQ(shorter.bytes, std::vector(length, std::byte{0xee}));
      EXPECT_EQ(shorter.needed, whole.done);
    }
    const Answer exact = query(oid, whole.done, std::byte{1});
    EXPECT_EQ(exact.status, NdisStatus::kSuccess);
    EXPECT_TRUE(std::equal(exact.bytes.begin(), exact.bytes.end(), whole.bytes.begin()));
  }
}

TEST_F(XennetOidTest, XENNET_024_TheListSaysWhatThereIs) {
  const auto list = xennet::Oids::supported();
  const Answer answer = query(Oid::kGenSupportedList, kLargest);
  ASSERT_EQ(answer.done, list.size_bytes());
  EXPECT_EQ(std::memcmp(answer.bytes.data(), list.data(), list.size_bytes()), 0);
  for (const Oid oid : list) {
    EXPECT_EQ(std::count(list.begin(), list.end(), oid), 1);
    const bool queried = query(oid, kLargest, std::byte{1}).status != NdisStatus::kInvalidOid;
    const bool taken = set_bytes(oid, {}).status != NdisStatus::kInvalidOid;
    EXPECT_TRUE(queried || taken) << std::hex << static_cast<uint32_t>(oid);
  }
  for (const uint32_t other : {0u, 0x00010112u, 0x0d010101u, ~0u}) {
    EXPECT_EQ(query(Oid{other}, kLargest).status, NdisStatus::kNotSupported);
    EXPECT_EQ(set_bytes(Oid{other}, std::vector<std::byte>(64)).status, NdisStatus::kNotSupported);
  }
}

TEST_F(XennetOidTest, XENNET_018_NumbersAreThoseOfAnEthernetAdapter) {
  EXPECT_EQ(get<uint32_t>(Oid::kGenHardwareStatus), 0u);
  EXPECT_EQ(get<uint32_t>(Oid::kGenMediaInUse), 0u);
  EXPECT_EQ(get<uint32_t>(Oid::kGenPhysicalMedium), 14u);
  EXPECT_EQ(get<uint32_t>(Oid::kGenMaximumFrameSize), 1500u);
  EXPECT_EQ(get<uint32_t>(Oid::kGenMaximumTotalSize), 1514u);
  EXPECT_EQ(get<uint16_t>(Oid::kGenDriverVersion), 0x061e);
  EXPECT_EQ(get<uint32_t>(Oid::kGenCurrentLookahead), 1500u);
  EXPECT_EQ(set(Oid::kGenCurrentLookahead, uint32_t{256}), NdisStatus::kSuccess);
  EXPECT_EQ(get<uint32_t>(Oid::kGenCurrentLookahead), 256u);
  EXPECT_EQ(set(Oid::kGenCurrentLookahead, uint32_t{1501}), NdisStatus::kInvalidData);
  EXPECT_EQ(get<xennet::InterruptModeration>(Oid::kGenInterruptModeration).moderation, 1u);
  EXPECT_EQ(get<xennet::LinkState>(Oid::kGenLinkState).xmit_speed, 1'000'000'000u);
  statistics_.sent.note(xennet::Cast::kMulticast, 100);
  statistics_.sent.note(xennet::Cast::kDirected, 60);
  statistics_.received.note(xennet::Cast::kBroadcast, uint32_t{1} << 31);
  statistics_.received.note(xennet::Cast::kBroadcast, uint32_t{1} << 31);
  statistics_.received.no_buffer = 3;
  EXPECT_EQ(get<uint64_t>(Oid::kGenXmitOk), 2u);
  EXPECT_EQ(get<uint32_t>(Oid::kGenMulticastBytesXmit), 100u);
  EXPECT_EQ(get<uint64_t>(Oid::kGenBroadcastBytesRcv), uint64_t{1} << 32);
  EXPECT_EQ(get<uint32_t>(Oid::kGenRcvNoBuffer), 3u);
  EXPECT_EQ(get<xennet::StatisticsInfo>(Oid::kGenStatistics).in_octets, uint64_t{1} << 32);
}

TEST_F(XennetOidTest, XENNET_011_AListOfAddressesIsTakenWholeOrNotAtAll) {
  std::vector<std::byte> addresses(32 * 6, std::byte{0x01});
  EXPECT_EQ(set_bytes(Oid::k8023MulticastList, addresses).status, NdisStatus::kSuccess);
  EXPECT_EQ(query(Oid::k8023MulticastList, kLargest).done, 192u);
  addresses.resize(33 * 6, std::byte{0x01});
  EXPECT_EQ(set_bytes(Oid::k8023MulticastList, addresses).status, NdisStatus::kMulticastFull);
  addresses.resize(13);
  EXPECT_EQ(set_bytes(Oid::k8023MulticastList, addresses).status, NdisStatus::kInvalidLength);
  addresses.resize(12);
  addresses[6] = std::byte{2};
  EXPECT_EQ(set_bytes(Oid::k8023MulticastList, addresses).status, NdisStatus::kInvalidData);
  EXPECT_EQ(configuration_.multicast_count, 32u) << "as before";
  EXPECT_EQ(set_bytes(Oid::k8023MulticastList, {}).status, NdisStatus::kSuccess);
  EXPECT_EQ(configuration_.multicast_count, 0u);
}

TEST_F(XennetOidTest, XENNET_019_HeadersAreNotBelieved) {
  const auto whole = parameters();
  for (size_t length = 0; length < xennet::kOffloadParameters3; ++length) {
    EXPECT_EQ(set(Oid::kTcpOffloadParameters, whole, length), NdisStatus::kInvalidLength);
  }
  auto wrong = parameters();
  wrong.header.size = xennet::kOffloadParameters1 - 1;
  EXPECT_EQ(set(Oid::kTcpOffloadParameters, wrong), NdisStatus::kInvalidLength);
  wrong = parameters();
  wrong.header.type = xennet::kTypeOffload;
  EXPECT_EQ(set(Oid::kTcpOffloadParameters, wrong), NdisStatus::kInvalidParameter);
  auto oldest = parameters();
  oldest.header = {xennet::kTypeDefault, 1, xennet::kOffloadParameters1};
  oldest.coalesce_v4 = 0xff;  // behind its end
  EXPECT_EQ(set(Oid::kTcpOffloadParameters, oldest, xennet::kOffloadParameters1),
            NdisStatus::kSuccess);
  EXPECT_EQ(
      set(Oid::kPmParameters,
          xennet::PmParameters{{xennet::kTypeDefault, 1, xennet::kPmParameters1}, 0, 0, 0, 9}),
      NdisStatus::kSuccess);
  EXPECT_EQ(set(Oid::kPmParameters,
                xennet::PmParameters{
                    {xennet::kTypeDefault, 2, sizeof(xennet::PmParameters)}, 1, 0, 0, 0}),
            NdisStatus::kInvalidParameter);
}

TEST_F(XennetOidTest, XENNET_019_WhatLeavesTheBufferFails) {
  struct {
    xennet::ReceiveScaleParameters parameters;
    std::array<std::byte, 40> key;
    std::array<xennet::ProcessorNumber, 8> table;
  } scaling{};
  auto& said = scaling.parameters;
  said.header = {xennet::kTypeRssParameters, 2, xennet::kReceiveScaleParameters2};
  said.hash_info = xennet::kHashToeplitz | xennet::kHashTcpIpv4;
  said.key_size = 40;
  said.key_offset = sizeof(said);
  said.table_size = sizeof(scaling.table);
  said.table_offset = sizeof(said) + 40;
  const auto good = scaling;
  const auto with = [&](auto change) {
    scaling = good;
    change();
    return set(Oid::kGenReceiveScaleParameters, scaling);
  };
  const unsigned before = configured_;
  EXPECT_EQ(with([&] { said.key_offset += 33; }), NdisStatus::kInvalidLength);
  EXPECT_EQ(with([&] { said.key_offset = ~0u; }), NdisStatus::kInvalidLength);
  EXPECT_EQ(with([&] { said.key_size = 41; }), NdisStatus::kInvalidParameter);
  EXPECT_EQ(with([&] { said.table_offset += 1; }), NdisStatus::kInvalidLength);
  EXPECT_EQ(with([&] { said.table_size = 12; }), NdisStatus::kInvalidParameter);
  EXPECT_EQ(with([&] { said.table_size = 0; }), NdisStatus::kInvalidParameter);
  EXPECT_EQ(with([&] { scaling.table[3].group = 1; }), NdisStatus::kInvalidParameter);
  EXPECT_EQ(with([&] { said.hash_info |= 2; }), NdisStatus::kInvalidParameter);
  EXPECT_EQ(with([&] { said.flags = xennet::kRssKeyUnchanged; }), NdisStatus::kInvalidParameter)
      << "there is none yet";
  EXPECT_EQ(configured_, before);
  EXPECT_EQ(with([] {}), NdisStatus::kSuccess);
  EXPECT_EQ(configuration_.scaling.table_size, 8u);
}

TEST_F(XennetOidTest, XENNET_020_OffloadsChangeTogetherAndAreTold) {
  auto wanted = parameters();
  wanted.tcp_v4 = 3;  // receiving only
  wanted.large_send_v6 = xennet::kOffloadDisabled;
  EXPECT_EQ(set(Oid::kTcpOffloadParameters, wanted), NdisStatus::kSuccess);
  EXPECT_EQ(indications_, 1u);
  EXPECT_EQ(indicated_.large_send_v6.max_size, 0u);
  EXPECT_NE(indicated_.large_send_v4.max_size, 0u);
  EXPECT_EQ(indicated_.send_v4.bits >> 4 & 3, 0u);
  EXPECT_EQ(indicated_.receive_v4.bits >> 4 & 3, 1u);
  const xennet::Offloads before = configuration_.offloads;
  wanted = parameters();
  wanted.udp_v6 = 1;
  wanted.ip_v4 = 5;
  EXPECT_EQ(set(Oid::kTcpOffloadParameters, wanted), NdisStatus::kInvalidParameter);
  wanted.ip_v4 = 0;
  wanted.ipsec_v1 = 2;
  EXPECT_EQ(set(Oid::kTcpOffloadParameters, wanted), NdisStatus::kNotSupported);
  EXPECT_TRUE(configuration_.offloads == before);
  EXPECT_EQ(indications_, 1u);

  xennet::OffloadEncapsulation encapsulation{
      .header = {xennet::kTypeOffloadEncapsulation, 1, sizeof(xennet::OffloadEncapsulation)},
      .v4 = {xennet::kSetOff, 0, 0},
      .v6 = {xennet::kSetNoChange, 0, 0}};
  EXPECT_EQ(set(Oid::kOffloadEncapsulation, encapsulation), NdisStatus::kSuccess);
  EXPECT_EQ(indicated_.receive_v4.bits, 0u);
  EXPECT_NE(indicated_.receive_v6.bits, 0u);
  encapsulation.v4 = {xennet::kSetOn, 1, 14};
  EXPECT_EQ(set(Oid::kOffloadEncapsulation, encapsulation), NdisStatus::kNotSupported);
  encapsulation.v4.type = xennet::kEncapsulation8023;
  EXPECT_EQ(set(Oid::kOffloadEncapsulation, encapsulation), NdisStatus::kSuccess);
  EXPECT_TRUE(configuration_.offloads == before) << "as they were set";
}

TEST_F(XennetOidTest, XENNET_018_AVirtualLinkGrantsOnlyWhatItHas) {
  xennet::LinkParameters link{.header = {xennet::kTypeDefault, 1, sizeof(xennet::LinkParameters)},
                              .duplex = xennet::DuplexState::kFull,
                              .xmit_speed = 1'000'000'000,
                              .rcv_speed = xennet::kLinkSpeedUnknown,
                              .pause_functions = 0,
                              .auto_negotiation = 0};
  EXPECT_EQ(set(Oid::kGenLinkParameters, link), NdisStatus::kSuccess);
  link.xmit_speed = 100'000'000;
  EXPECT_EQ(set(Oid::kGenLinkParameters, link), NdisStatus::kNotSupported);
}

}  // namespace
}  // namespace ringside::conformance
