#include <random>

#include "conformance/netif/played_frontend.hpp"

namespace ringside::conformance {
namespace {

/// The reference netback against a hostile front end: what it must survive.
class NetifHostileFrontendTest : public PlayedFrontendFixture,
                                 public testing::WithParamInterface<std::string> {
 protected:
  backends::NetbackProfile profile() const override {
    return *backends::find_netback_profile(GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(Profiles, NetifHostileFrontendTest,
                         testing::Values("linux", "classic", "qnic"),
                         [](const auto& of) { return of.param; });

TEST_P(NetifHostileFrontendTest, NETIF_TX_040_ABadGrantCostsItsPacketOnly) {
  connect();
  netif_tx_request_t bad = request(100);
  bad.gref = 31337;
  tx_.put(bad);
  tx_.put(request(100));
  EXPECT_EQ(push(), (std::vector{NETIF_RSP_ERROR, NETIF_RSP_OKAY}));
  expect_ring_goes_on();
}

TEST_P(NetifHostileFrontendTest, NETIF_TX_018_WhatLeavesThePageIsRefused) {
  connect();
  tx_.put(request(100, 0, 4000));
  tx_.put(request(0xffff));
  tx_.put(request(100, 0, 0xffff));
  EXPECT_EQ(push(), (std::vector{NETIF_RSP_ERROR, NETIF_RSP_ERROR, NETIF_RSP_ERROR}));
  expect_ring_goes_on();
}

TEST_P(NetifHostileFrontendTest, NETIF_TX_039_WhatIsNoFrameIsRefused) {
  connect();
  tx_.put(request(0));
  tx_.put(request(13));
  tx_.put(request(14));
  EXPECT_EQ(push(), (std::vector{NETIF_RSP_ERROR, NETIF_RSP_ERROR, NETIF_RSP_OKAY}));
  expect_ring_goes_on();
}

TEST_P(NetifHostileFrontendTest, NETIF_TX_017_PartsThatExceedTheWholeAreRefused) {
  connect();
  tx_.put(request(100, NETTXF_more_data));
  tx_.put(request(200));
  EXPECT_EQ(push(), (std::vector{NETIF_RSP_ERROR, NETIF_RSP_ERROR}));
  expect_ring_goes_on();
}

TEST_P(NetifHostileFrontendTest, NETIF_TX_041_AnEmptySlotInAChainHarmsNobody) {
  connect();
  const bool chains = backends::find_netback_profile(GetParam())->scatter_gather;
  tx_.put(request(100, NETTXF_more_data));
  tx_.put(request(0, NETTXF_more_data));
  tx_.put(request(100));
  const int status = chains ? NETIF_RSP_OKAY : NETIF_RSP_ERROR;
  EXPECT_EQ(push(), std::vector(3, status));
  expect_ring_goes_on();
}

TEST_P(NetifHostileFrontendTest, NETIF_TX_001_EighteenSlotsAreTakenNineteenRefused) {
  connect();
  const bool chains = backends::find_netback_profile(GetParam())->scatter_gather;
  for (const unsigned slots : {18u, 19u}) {
    for (unsigned i = 0; i < slots; ++i) {
      tx_.put(request(i == 0 ? slots * 10 : 10, i + 1 < slots ? NETTXF_more_data : 0));
    }
    const int status = chains && slots == 18 ? NETIF_RSP_OKAY : NETIF_RSP_ERROR;
    EXPECT_EQ(push(), std::vector(slots, status));
  }
  expect_ring_goes_on();
}

TEST_P(NetifHostileFrontendTest, NETIF_RX_049_AnUnknownExtraDropsItsPacketOnly) {
  connect();
  tx_.put(request(100, NETTXF_extra_info));
  netif_extra_info_t extra{};
  extra.type = 99;
  tx_.put(extra);
  EXPECT_EQ(push(), (std::vector{NETIF_RSP_ERROR, NETIF_RSP_NULL}));
  expect_ring_goes_on();
}

TEST_P(NetifHostileFrontendTest, NETIF_NEG_005_AChainWithoutAnEndEndsTheConnection) {
  connect();
  tx_.put(request(100, NETTXF_more_data));
  (void)push();
  expect_refused("netback to give up");
}

TEST_P(NetifHostileFrontendTest, NETIF_NEG_005_ImpossibleIndicesEndTheConnection) {
  connect();
  const uint32_t producer = 5000;
  std::memcpy(pages_[kTx].address, &producer, sizeof(producer));
  (void)push();
  guest_->run([this] { channel_->notify(); });
  std::memcpy(pages_[kTx].address, &producer, sizeof(producer));
  expect_refused("netback to give up");
}

TEST_P(NetifHostileFrontendTest, NETIF_NEG_005_KeysThatMakeNoSenseAreRefused) {
  host_->require("netback to offer", [this] { return backend_state() == "2"; });
  write_keys();
  write("multi-queue-num-queues", "9");
  write("state", "4");
  expect_refused("too many queues to be refused");
}

TEST_P(NetifHostileFrontendTest, NETIF_NEG_010_WithoutRxCopyThereIsNoConnection) {
  host_->require("netback to offer", [this] { return backend_state() == "2"; });
  write_keys();
  write("request-rx-copy", "0");
  write("state", "4");
  expect_refused("a guest that wants flipping to be refused");
}

TEST_P(NetifHostileFrontendTest, NETIF_NEG_005_GrantsAndPortsThatAreNotThereAreRefused) {
  host_->require("netback to offer", [this] { return backend_state() == "2"; });
  write_keys();
  write("rx-ring-ref", "31337");
  write("state", "4");
  expect_refused("a bad grant to be refused");
  write("state", "6");
  host_->require("netback to close", [this] { return backend_state() == "6"; });
  write("state", "1");
  host_->require("netback to offer again", [this] { return backend_state() == "2"; });
  write_keys();
  write("event-channel", "4000");
  write("state", "4");
  expect_refused("a bad port to be refused");
}

TEST_P(NetifHostileFrontendTest, NETIF_NEG_002_NothingWaitsForAGuestThatDoesNotNotify) {
  connect();
  for (unsigned i = 0; i < 10; ++i) port_.inject({plain_frame(100, i)});
  host_->require("the frames to be dropped",
                 [this] { return (*netback_)->statistics(guest_->domid(), 0).port_dropped == 10; });
  expect_ring_goes_on();
}

TEST_P(NetifHostileFrontendTest, NETIF_TX_040_NoiseOnTheRingIsSurvived) {
  connect();
  std::mt19937 engine(static_cast<unsigned>(host_->world().seed()));
  const auto random = [&] { return static_cast<uint32_t>(engine()); };
  for (unsigned round = 0; round < 200 && backend_state() == "4"; ++round) {
    for (unsigned i = 0; i < 8 && tx_.free_slots() > 0; ++i) {
      netif_tx_request_t noise = request(random() % 3 ? random() % 5000 : random());
      if (random() % 4 == 0) noise.gref = random();
      noise.offset = static_cast<uint16_t>(random() % 2 ? 0 : random() % 5000);
      noise.flags = static_cast<uint16_t>(random() % 3 ? random() % 4 : random());
      tx_.put(noise);
    }
    tx_.put(request(60));
    (void)push();
  }
  const auto state = backend_state();
  EXPECT_TRUE(state == "4" || state == "5");
}

}  // namespace
}  // namespace ringside::conformance
