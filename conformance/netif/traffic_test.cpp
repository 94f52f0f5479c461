#include <algorithm>
#include <random>

#include "backends/netback/port.hpp"
#include "conformance/netif/vif_fixture.hpp"

namespace ringside::conformance {
namespace {

using backends::Frame;
using xenvif::Checksum;
using xenvif::GsoType;
using xenvif::TxStatus;

/// The whole stack: front end, rings, reference netback in one of its profiles.
class NetifTrafficTest : public VifFixture, public testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    VifFixture::SetUp();
    profile_ = *backends::find_netback_profile(GetParam());
    start_backend();
    attach();
    ASSERT_TRUE(device_->connect());
  }
  void start_backend() {
    netback_ = start_netback(
        *host_, [this](uint16_t, unsigned) { return &port_; }, profile_);
  }
  void stop_backend() override { netback_.reset(); }

  void inject(Bytes bytes, Frame::Checksum checksum = Frame::Checksum::kUnknown,
              Frame::GsoType gso = Frame::GsoType::kNone, uint16_t size = 0) {
    port_.inject({std::move(bytes), checksum, gso, size});
  }
  void wait_sent(size_t count) {
    host_->require("frames to arrive", [&] { return port_.received().size() >= count; });
  }
  void wait_received(size_t count) {
    host_->require("frames to arrive", [&] { return client_.frames.size() >= count; });
  }

  backends::NetbackProfile profile_;
  backends::MemoryPort port_;
  std::unique_ptr<NetbackActor> netback_;
};

std::string name_of(const testing::TestParamInfo<std::string>& info) { return info.param; }
INSTANTIATE_TEST_SUITE_P(Profiles, NetifTrafficTest, testing::Values("linux", "classic", "qnic"),
                         name_of);

TEST_P(NetifTrafficTest, NETIF_TX_017_FramesOfAllSizesArriveInOrder) {
  std::vector<Bytes> frames;
  for (size_t size = 60; size <= 1514; size += 97) {
    frames.push_back(plain_frame(size, static_cast<unsigned>(size)));
  }
  for (const Bytes& frame : frames) send(frame, {.chunk = 700, .offset = 1000});
  wait_sent(frames.size());
  settle();
  for (size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(port_.received()[i].bytes, frames[i]);
  EXPECT_EQ(client_.completed(TxStatus::kSent), frames.size());
}

TEST_P(NetifTrafficTest, NETIF_RX_023_FramesOfAllSizesComeInInOrder) {
  std::vector<Bytes> frames;
  for (size_t size = 60; size <= 1514; size += 97) {
    frames.push_back(plain_frame(size, static_cast<unsigned>(size)));
  }
  for (const Bytes& frame : frames) inject(frame);
  wait_received(frames.size());
  for (size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(client_.frames[i].bytes, frames[i]);
}

TEST_P(NetifTrafficTest, NETIF_NEG_007_ABlankChecksumIsGoodWhenItArrives) {
  for (const unsigned version : {4u, 6u}) {
    for (const uint8_t protocol : {xenvif::kProtocolTcp, xenvif::kProtocolUdp}) {
      const Bytes frame = ip_frame({.version = version, .protocol = protocol, .payload = 1000});
      send(frame, {.chunk = 300, .checksum = Checksum::kBlank});
      wait_sent(1);
      const Frame got = port_.take_received()[0];
      const bool offered = version == 4 ? profile_.checksum_v4 : profile_.checksum_v6;
      EXPECT_EQ(got.checksum == Frame::Checksum::kBlank, offered);
      EXPECT_EQ(got.bytes, offered ? with_pseudo_sum(frame) : with_checksum(frame));
    }
  }
}

TEST_P(NetifTrafficTest, NETIF_TX_008_ALargeSegmentGetsThereWholeOrInPieces) {
  for (const unsigned version : {4u, 6u}) {
    const Bytes frame = ip_frame({.version = version, .payload = 60000});
    const uint64_t cookie =
        send(frame, {.checksum = Checksum::kBlank,
                     .gso = {version == 4 ? GsoType::kTcpV4 : GsoType::kTcpV6, 1400}});
    host_->require("the packet to end", [&] { return ended(cookie).has_value(); });
    EXPECT_EQ(ended(cookie), TxStatus::kSent);
    const auto got = port_.take_received();
    const bool whole = version == 4 ? profile_.gso_v4 : profile_.gso_v6;
    ASSERT_EQ(got.size(), whole ? 1u : 43u);
    if (whole) {
      EXPECT_EQ(got[0].gso_size, 1400);
      EXPECT_EQ(got[0].bytes, with_pseudo_sum(frame));
    }
    size_t payload = 0;
    const size_t headers = xenvif::parse_headers(frame).length;
    for (const Frame& piece : got) {
      EXPECT_TRUE(std::equal(piece.bytes.begin() + static_cast<long>(headers), piece.bytes.end(),
                             frame.begin() + static_cast<long>(headers + payload)));
      payload += piece.bytes.size() - headers;
    }
    EXPECT_EQ(payload, 60000u);
  }
}

TEST_P(NetifTrafficTest, NETIF_RX_023_LargeSegmentsComeIn) {
  const Bytes frame = ip_frame({.payload = 60000});
  inject(with_pseudo_sum(frame), Frame::Checksum::kBlank, Frame::GsoType::kTcpV4, 1400);
  inject(plain_frame(60, 1));
  wait_received(profile_.gso_v4 ? 2 : 44);
  if (profile_.gso_v4) {
    EXPECT_EQ(client_.frames[0].bytes, with_pseudo_sum(frame));
    EXPECT_EQ(client_.frames[0].gso.type, GsoType::kTcpV4);
    EXPECT_EQ(client_.frames[0].checksum, Checksum::kBlank);
  } else {
    EXPECT_EQ(client_.frames[0].bytes, with_checksum(client_.frames[0].bytes));
  }
  EXPECT_EQ(client_.frames.back().bytes, plain_frame(60, 1));
}

TEST_P(NetifTrafficTest, NETIF_RX_043_AFloodBothWaysLosesNothing) {
  constexpr unsigned kFrames = 1500;
  unsigned sent = 0;
  std::vector<std::span<const xenvif::Fragment>> laid;
  for (unsigned i = 0; i < 64; ++i) laid.push_back(lay_out(plain_frame(60 + i * 20, i)));
  const auto pour = [&](xenvif::Queue&) {
    while (sent < kFrames && transmit(laid[sent % 64]) == Status::kOk) ++sent;
    queue().flush();
  };
  client_.on_room = pour;
  for (unsigned i = 0; i < kFrames; ++i) inject(plain_frame(60 + i % 1400, i));
  guest_->run([&] { pour(queue()); });
  wait_sent(kFrames);
  wait_received(kFrames);
  settle();
  EXPECT_EQ(client_.completed(TxStatus::kSent), kFrames);
  for (unsigned i = 0; i < kFrames; ++i) {
    ASSERT_EQ(port_.received()[i].bytes, plain_frame(60 + i % 64 * 20, i % 64)) << i;
    ASSERT_EQ(client_.frames[i].bytes, plain_frame(60 + i % 1400, i)) << i;
  }
}

TEST_P(NetifTrafficTest, NETIF_TX_045_ClosingInTheMiddleEndsEachPacketOnce) {
  const auto laid = lay_out(plain_frame(1400), {.chunk = 500});
  guest_->run([&] {
    while (transmit(laid) == Status::kOk) {
    }
    queue().flush();
  });
  EXPECT_TRUE(device_->close());
  EXPECT_EQ(client_.completions.size(),
            client_.completed(TxStatus::kSent) + client_.completed(TxStatus::kDisconnected));
  EXPECT_EQ(client_.completions.size() + 1, cookie_) << "all but the one not taken";
}

TEST_P(NetifTrafficTest, NETIF_TX_045_ReconnectsAgainAndAgainUnderTraffic) {
  const auto laid = lay_out(plain_frame(1000), {.chunk = 400});
  for (unsigned round = 0; round < 4; ++round) {
    for (unsigned i = 0; i < 40; ++i) inject(plain_frame(900, i));
    guest_->run([&] {
      while (transmit(laid) == Status::kOk) {
      }
      queue().flush();
    });
    host_->pass(round * 100 * 1000);
    ASSERT_TRUE(device_->close());
    ASSERT_TRUE(device_->connect());
  }
  (void)port_.take_received();
  const uint64_t last = send(plain_frame(60, 42));
  wait_sent(1);
  settle();
  EXPECT_EQ(ended(last), TxStatus::kSent);
  EXPECT_EQ(client_.completions.size() + 4, cookie_);
  EXPECT_GT(queue().transmit_statistics().packets, 4u);
}

TEST_P(NetifTrafficTest, NETIF_TX_045_ABackEndThatDiesTakesNothingWithIt) {
  const auto laid = lay_out(plain_frame(1400), {.chunk = 500});
  guest_->run([&] {
    while (transmit(laid) == Status::kOk) {
    }
    queue().flush();
  });
  netback_->stop();
  toolstack().write(back("state"), "6");
  host_->require("the link to go down",
                 [this] { return vif().link() == xenvif::LinkState::kDown; });
  settle();
  EXPECT_EQ(client_.completions.size() + 1, cookie_);
  netback_.reset();
  start_backend();
  host_->require("a new connection", [this] { return vif().link() == xenvif::LinkState::kUp; });
  const uint64_t again = send(plain_frame(60));
  host_->require("the packet to end", [&] { return ended(again).has_value(); });
  EXPECT_EQ(ended(again), TxStatus::kSent);
}

/// Two guests joined by a cable through one netback.
TEST(NetifLinkTest, NETIF_RX_024_WhatOneGuestSendsTheOtherReceives) {
  Host host;
  constexpr size_t kCableFrames = 16;
  backends::Link link(kCableFrames);
  RecordingClient left_client;
  RecordingClient right_client;
  {
    DriverGuest left(host);
    DriverGuest right(host);
    auto netback = start_netback(host, [&](uint16_t domain, unsigned) {
      return domain == left.domid() ? &link.left() : &link.right();
    });
    {
      VifDevice from(left, left_client);
      VifDevice to(right, right_client);
      ASSERT_TRUE(from.connect());
      ASSERT_TRUE(to.connect());
      std::vector<platform::Page> pages;
      std::vector<xenvif::Fragment> fragments;
      left.run([&] {
        for (unsigned i = 0; i < 200; ++i) {
          const platform::Page page = *left.platform().allocate_page();
          const Bytes frame = plain_frame(600 + i, i);
          std::memcpy(page.address, frame.data(), frame.size());
          pages.push_back(page);
          fragments.push_back({page.address, page.frame, 0, static_cast<uint16_t>(600 + i)});
        }
        for (const xenvif::Fragment& fragment : fragments) {
          if (from->queue(0).transmit({.fragments = {&fragment, 1}, .gso = {}}) != Status::kOk) {
            break;
          }
        }
        from->queue(0).flush();
      });
      const uint64_t taken = from->queue(0).transmit_statistics().packets;
      host.require("the frames to cross", [&] { return right_client.frames.size() == taken; });
      for (unsigned i = 0; i < taken; ++i) {
        EXPECT_EQ(right_client.frames[i].bytes, plain_frame(600 + i, i));
      }
      // More than the cable holds at once: the back end has to hold the sender back.
      EXPECT_GT(taken, kCableFrames);
      host.pass(20 * platform::kMillisecond);
      EXPECT_EQ(left_client.completions[0], std::vector(taken, TxStatus::kSent));
      EXPECT_TRUE(left_client.frames.empty());
      left.run([&] {
        for (const platform::Page& page : pages) left.platform().release_page(page);
      });
    }
  }
  EXPECT_EQ(host.audit(), std::vector<std::string>{});
}

}  // namespace
}  // namespace ringside::conformance
