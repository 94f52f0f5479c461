#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "backends/netback/port.hpp"
#include "conformance/netif/test_frames.hpp"
#include "conformance/rig/vif_device.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/ring/front_ring.hpp"

namespace ringside::conformance {
namespace {

/// The reference netback against a front end that the test plays: what it must survive.
class NetifHostileFrontendTest : public testing::TestWithParam<std::string> {
 protected:
  using TxRing = ring::FrontRing<netif_tx_request_t, netif_tx_response_t>;

  void SetUp() override {
    host_.emplace();
    guest_.emplace(*host_);
    netback_ = start_netback(
        *host_, [this](uint16_t, unsigned) { return &port_; },
        *backends::find_netback_profile(GetParam()));
    paths_ = host_->toolstack().attach_vif(guest_->domid());
    guest_->run([this] { allocate(); });
  }

  void TearDown() override {
    write("state", "6");
    host_->require("netback to let go", [this] { return backend_state() == "6"; });
    guest_->run([this] { release(); });
    host_->toolstack().force_detach(paths_);
    netback_.reset();
    guest_.reset();
    EXPECT_EQ(host_->audit(), std::vector<std::string>{});
  }

  void allocate() {
    const xenbus::Services& services = guest_->services();
    grants_ = *services.grants.create_cache("played", 8, 64);
    channel_ = *services.events.open_unbound(0, Delegate{[](void*) {}, nullptr}, 0);
    for (platform::Page& page : pages_) page = *services.platform.allocate_page();
    for (size_t i = 0; i < kPages; ++i) {
      refs_[i] = *grants_->permit(0, pages_[i].frame, xenbus::Access::kReadWrite);
    }
    tx_ = *TxRing::create({pages_[kTx].address, platform::kPageSize});
    // Laid empty: the guest posts nothing to receive into.
    (void)ring::FrontRing<netif_rx_request_t, netif_rx_response_t>::create(
        {pages_[kRx].address, platform::kPageSize});
    const Bytes data = plain_frame(platform::kPageSize);
    std::copy(data.begin(), data.end(), pages_[kData].address);
  }

  void release() {
    channel_.reset();
    for (size_t i = 0; i < kPages; ++i) {
      EXPECT_EQ(grants_->revoke(refs_[i]), Status::kOk) << "netback still maps it";
      guest_->platform().release_page(pages_[i]);
    }
    grants_.reset();
  }

  void write(const std::string& key, const std::string& value) {
    host_->toolstack().write(paths_.frontend + "/" + key, value);
  }
  std::optional<std::string> backend_state() {
    return host_->toolstack().read(paths_.backend + "/state");
  }

  void write_keys() {
    write("tx-ring-ref", std::to_string(refs_[kTx]));
    write("rx-ring-ref", std::to_string(refs_[kRx]));
    write("event-channel", std::to_string(channel_->port()));
    write("request-rx-copy", "1");
    write("feature-sg", "1");
  }
  void connect() {
    host_->require("netback to offer", [this] { return backend_state() == "2"; });
    write_keys();
    write("state", "4");
    host_->require("netback to connect", [this] { return backend_state() == "4"; });
  }

  netif_tx_request_t request(unsigned size, unsigned flags = 0, unsigned offset = 0) {
    return {refs_[kData], static_cast<uint16_t>(offset), static_cast<uint16_t>(flags), next_id_++,
            static_cast<uint16_t>(size)};
  }

  /// Publishes what was put and returns the statuses of the answers that come.
  std::vector<int> push() {
    guest_->run([this] {
      (void)tx_.publish();
      channel_->notify();
    });
    host_->pass(10 * platform::kMillisecond);
    std::vector<int> statuses;
    for (;;) {
      auto response = tx_.take();
      if (!response || !*response) return statuses;
      statuses.push_back((*response)->status);
    }
  }

  void expect_ring_goes_on() {
    const size_t before = port_.received().size();
    tx_.put(request(100));
    EXPECT_EQ(push(), std::vector{NETIF_RSP_OKAY});
    EXPECT_EQ(port_.received().size(), before + 1);
  }

  void expect_refused(const char* what) {
    host_->require(what, [this] { return backend_state() == "5"; });
    const size_t at = paths_.backend.find("/backend/");
    const std::string error = paths_.backend.substr(0, at) + "/error" + paths_.backend.substr(at);
    EXPECT_TRUE(host_->toolstack().read(error + "/error"));
  }

  enum : size_t { kTx, kRx, kData, kPages };
  backends::MemoryPort port_;
  std::optional<Host> host_;
  std::optional<DriverGuest> guest_;
  std::unique_ptr<NetbackActor> netback_;
  sim::DevicePaths paths_;
  Owned<xenbus::GrantCache> grants_;
  Owned<xenbus::EventChannel> channel_;
  std::array<platform::Page, kPages> pages_;
  std::array<uint32_t, kPages> refs_{};
  TxRing tx_;
  uint16_t next_id_ = 0;
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
