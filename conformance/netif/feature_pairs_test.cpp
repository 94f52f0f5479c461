#include <fmt/format.h>

#include <algorithm>

#include "backends/netback/port.hpp"
#include "conformance/netif/vif_fixture.hpp"
#include "conformance/rig/pairwise.hpp"

namespace ringside::conformance {
namespace {

using backends::Frame;
using backends::NetbackProfile;
using xenvif::Checksum;
using xenvif::GsoType;
using xenvif::TxStatus;

constexpr unsigned kCpus = 4;
constexpr unsigned kQueues[] = {0, 1, 2, kCpus};
constexpr unsigned kLevels[] = {2, 2, 2, 2, 2, 2, std::size(kQueues), 2, 3, 2, 2};

struct Pairs {
  unsigned number;
  Combination levels;
};

NetbackProfile profile_of(const Combination& of) {
  NetbackProfile profile;
  profile.name = "pairs";
  profile.scatter_gather = of[0] != 0;
  profile.gso_v4 = of[1] != 0;
  profile.gso_v6 = of[2] != 0;
  profile.checksum_v4 = of[3] != 0;
  profile.checksum_v6 = of[4] != 0;
  profile.split_channels = of[5] != 0;
  profile.max_queues = kQueues[of[6]];
  profile.control_ring = of[7] != 0;
  profile.multicast = of[8] != 0;
  profile.multicast_dynamic = of[8] == 2;
  profile.map_transmit = of[9] != 0;
  profile.max_static_grants = profile.control_ring && of[9] != 0 ? 64 : 0;
  profile.receive_offset = of[10] != 0 ? 2 : 0;
  return profile;
}

std::vector<Pairs> all_pairs() {
  std::vector<Pairs> all;
  for (Combination& levels : pairwise(kLevels)) {
    all.push_back({static_cast<unsigned>(all.size()), std::move(levels)});
  }
  return all;
}

/// The front end beside back ends with any two features in any of their states.
class FeaturePairsTest : public VifFixture, public testing::WithParamInterface<Pairs> {
 protected:
  void SetUp() override {
    host_.emplace();
    guest_.emplace(*host_, sim::GuestConfig{.vcpus = kCpus});
    profile_ = profile_of(GetParam().levels);
    netback_ = start_netback(
        *host_, [this](uint16_t, unsigned) { return &port_; }, profile_);
    attach();
    ASSERT_TRUE(device_->connect());
  }
  void stop_backend() override { netback_.reset(); }

  void configure() {
    xenvif::HashConfig config;
    config.types = xenvif::kAllHashTypes;
    config.key_length = 40;
    config.key.fill(std::byte{0x5a});
    guest_->run([&] { EXPECT_EQ(vif().configure_hash(config), Status::kOk); });
    settle();
    EXPECT_EQ(vif().backend_hashes(), profile_.control_ring);
  }
  /// The payload behind the headers of all frames, in order.
  template <typename Frames>
  static Bytes payload_of(const Frames& frames, size_t headers) {
    Bytes payload;
    for (const auto& frame : frames) {
      payload.insert(payload.end(), frame.bytes.begin() + static_cast<ptrdiff_t>(headers),
                     frame.bytes.end());
    }
    return payload;
  }
  /// `got` ends in a right checksum, or one that its label calls blank.
  template <typename Label>
  static void expect_checksum(const Bytes& got, bool blank, Label label) {
    const Bytes right = blank ? with_pseudo_sum(got) : with_checksum(got);
    EXPECT_EQ(checksum_field(got), checksum_field(right)) << label;
  }

  NetbackProfile profile_;
  backends::MemoryPort port_;
  std::unique_ptr<NetbackActor> netback_;
};

INSTANTIATE_TEST_SUITE_P(Netif, FeaturePairsTest, testing::ValuesIn(all_pairs()),
                         [](const auto& of) { return fmt::format("{:02}", of.param.number); });

TEST_P(FeaturePairsTest, NETIF_TX_008_WhatIsSentArrives) {
  configure();
  for (const unsigned version : {4u, 6u}) {
    for (const size_t payload : {size_t{10}, size_t{1200}, size_t{20000}}) {
      const bool large = payload > 1400;
      const Bytes frame = ip_frame({.version = version, .payload = payload});
      const GsoType type = version == 4 ? GsoType::kTcpV4 : GsoType::kTcpV6;
      const uint64_t cookie = send(frame, {.chunk = 1500,
                                           .offset = 100,
                                           .checksum = Checksum::kBlank,
                                           .gso = {large ? type : GsoType::kNone, 1400},
                                           .hash = {xenvif::HashType::kTcpV4, 7}});
      host_->require("the packet to end", [&] { return ended(cookie).has_value(); });
      EXPECT_EQ(ended(cookie), TxStatus::kSent);
      const auto got = port_.take_received();
      const bool whole =
          profile_.scatter_gather && (version == 4 ? profile_.gso_v4 : profile_.gso_v6);
      ASSERT_EQ(got.size(), large && !whole ? (payload + 1399) / 1400 : 1u);
      const size_t headers = xenvif::parse_headers(frame).length;
      EXPECT_EQ(payload_of(got, headers),
                Bytes(frame.begin() + static_cast<ptrdiff_t>(headers), frame.end()));
      const bool offered = version == 4 ? profile_.checksum_v4 : profile_.checksum_v6;
      for (const Frame& piece : got) {
        const bool blank = piece.checksum == Frame::Checksum::kBlank;
        EXPECT_EQ(blank, offered || (large && whole));
        expect_checksum(piece.bytes, blank, payload);
      }
    }
  }
}

TEST_P(FeaturePairsTest, NETIF_RX_028_WhatComesInIsWholeOrInPieces) {
  configure();
  for (const unsigned version : {4u, 6u}) {
    for (const size_t payload : {size_t{10}, size_t{1200}, size_t{20000}}) {
      const bool large = payload > 1400;
      Frame frame;
      const Bytes bytes = ip_frame({.version = version, .payload = payload});
      frame.bytes = with_pseudo_sum(bytes);
      frame.checksum = Frame::Checksum::kBlank;
      if (large) {
        frame.gso_type = version == 4 ? Frame::GsoType::kTcpV4 : Frame::GsoType::kTcpV6;
        frame.gso_size = 1400;
      }
      client_.frames.clear();
      port_.inject(frame);
      const bool whole =
          profile_.scatter_gather && (version == 4 ? profile_.gso_v4 : profile_.gso_v6);
      const size_t count = large && !whole ? (payload + 1399) / 1400 : 1;
      host_->require("frames to arrive", [&] { return client_.frames.size() >= count; });
      settle();
      ASSERT_EQ(client_.frames.size(), count);
      const size_t headers = xenvif::parse_headers(bytes).length;
      EXPECT_EQ(payload_of(client_.frames, headers),
                Bytes(bytes.begin() + static_cast<ptrdiff_t>(headers), bytes.end()));
      for (const auto& piece : client_.frames) {
        EXPECT_EQ(piece.gso.type != GsoType::kNone, large && whole);
        EXPECT_NE(piece.checksum, Checksum::kUnknown);
        EXPECT_NE(piece.hash.type, xenvif::HashType::kNone);
        expect_checksum(piece.bytes, piece.checksum == Checksum::kBlank, payload);
      }
    }
  }
}

TEST_P(FeaturePairsTest, NETIF_CTL_011_MulticastIsFilteredWhereItCanBe) {
  const auto arriving = [&] {
    client_.frames.clear();
    for (uint8_t last = 1; last <= 2; ++last) {
      Frame frame;
      frame.bytes = plain_frame(100);
      const uint8_t address[6] = {0x01, 0, 0x5e, 0, 0, last};
      for (size_t i = 0; i < 6; ++i) frame.bytes[i] = std::byte{address[i]};
      port_.inject(frame);
    }
    settle();
    return client_.frames.size();
  };
  const xenvif::MacAddress wanted{0x01, 0, 0x5e, 0, 0, 2};
  guest_->run([&] {
    EXPECT_EQ(queue().set_multicast({&wanted, 1}), Status::kOk);
    EXPECT_EQ(vif().filter_multicast(true), Status::kOk);
  });
  settle();
  EXPECT_EQ(arriving(), profile_.multicast_dynamic ? 1u : 2u);
  ASSERT_TRUE(device_->close());
  ASSERT_TRUE(device_->connect());
  settle();
  EXPECT_EQ(arriving(), profile_.multicast ? 1u : 2u);
}

}  // namespace
}  // namespace ringside::conformance
