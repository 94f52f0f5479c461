#include <cstring>

#include "conformance/netif/played_frontend.hpp"

namespace ringside::conformance {
namespace {

/// The reference netback's control ring, asked by a front end that the test plays.
class ControlBackendTest : public PlayedFrontendFixture {
 protected:
  using Control = ring::FrontRing<xen_netif_ctrl_request, xen_netif_ctrl_response>;
  using Answer = std::pair<uint32_t, uint32_t>;  // status and data

  static constexpr Answer kSuccess{XEN_NETIF_CTRL_STATUS_SUCCESS, 0};
  static constexpr Answer kNotSupported{XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED, 0};
  static constexpr Answer kInvalid{XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER, 0};
  static constexpr Answer kOverflow{XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW, 0};

  backends::NetbackProfile profile() const override {
    return *backends::find_netback_profile("full");
  }
  void write_keys() override {
    PlayedFrontendFixture::write_keys();
    control_ = *Control::create({pages_[kControl].address, platform::kPageSize});
    guest_->run([this] {
      control_channel_ =
          *guest_->services().events.open_unbound(0, Delegate{[](void*) {}, nullptr}, 0);
    });
    write("ctrl-ring-ref", std::to_string(refs_[kControl]));
    write("event-channel-ctrl", std::to_string(control_channel_->port()));
  }
  void TearDown() override {
    write("state", "6");
    host_->require("netback to let go", [this] { return backend_state() == "6"; });
    guest_->run([this] { control_channel_.reset(); });
    PlayedFrontendFixture::TearDown();
  }

  Answer ask(uint16_t type, uint32_t first = 0, uint32_t second = 0, uint32_t third = 0) {
    const auto id = static_cast<uint16_t>(next_id_++ * 77);
    control_.put(xen_netif_ctrl_request{id, type, {first, second, third}});
    guest_->run([this] {
      (void)control_.publish();
      control_channel_->notify();
    });
    host_->pass(platform::kMillisecond);
    const auto response = control_.take();
    if (!response || !*response) {
      ADD_FAILURE() << "no answer";
      return {~0u, ~0u};
    }
    EXPECT_EQ((*response)->id, id);
    EXPECT_EQ((*response)->type, type);
    return {(*response)->status, (*response)->data};
  }
  template <typename T>
  T* parameters() {
    return reinterpret_cast<T*>(pages_[kParameters].address);
  }
  uint32_t parameters_ref() const { return refs_[kParameters]; }
  void choose() {
    EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ),
              kSuccess);
  }

  Control control_;
  Owned<xenbus::EventChannel> control_channel_;
};

TEST_F(ControlBackendTest, NETIF_CTL_032_TypesNeedAnAlgorithm) {
  connect();
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS), kNotSupported);
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, 1), kInvalid);
  choose();
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS), (Answer{0, 0xf}));
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, 0xf), kSuccess);
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, 0x10), kInvalid);
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS, 0), kSuccess);
}

TEST_F(ControlBackendTest, NETIF_CTL_033_AKeyIsFetchedFromItsGrant) {
  connect();
  choose();
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, parameters_ref(), 40), kSuccess);
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, parameters_ref(), 41), kOverflow);
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, 31337, 40), kInvalid);
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, 31337, 0), kSuccess) << "cleared";
}

TEST_F(ControlBackendTest, NETIF_CTL_034_ATableHasALimitedSize) {
  connect();
  const auto [status, most] = ask(XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE);
  EXPECT_EQ(status, unsigned{XEN_NETIF_CTRL_STATUS_SUCCESS});
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, most), kSuccess);
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, most + 1), kInvalid);
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, 0), kSuccess);
}

TEST_F(ControlBackendTest, NETIF_CTL_035_NothingBeyondTheTableOrTheQueues) {
  connect();
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, 16), kSuccess);
  auto* table = parameters<uint32_t>();
  std::fill_n(table, 16, 0u);
  const auto set = [&](uint32_t entries, uint32_t offset) {
    return ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, parameters_ref(), entries, offset);
  };
  EXPECT_EQ(set(16, 0), kSuccess);
  EXPECT_EQ(set(8, 8), kSuccess);
  EXPECT_EQ(set(0, 16), kSuccess);
  EXPECT_EQ(set(8, 9), kInvalid);
  EXPECT_EQ(set(17, 0), kInvalid);
  EXPECT_EQ(set(2, ~0u), kInvalid);
  table[3] = 1;  // there is only queue 0
  EXPECT_EQ(set(16, 0), kInvalid);
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING, 31337, 16, 0), kInvalid);
}

TEST_F(ControlBackendTest, NETIF_CTL_036_AnUnknownAlgorithmIsRefused) {
  connect();
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, 2), kInvalid);
  choose();
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, XEN_NETIF_CTRL_HASH_ALGORITHM_NONE),
            kSuccess);
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS), kNotSupported);
}

TEST_F(ControlBackendTest, NETIF_CTL_037_StaticGrantsAreAllMappedOrNone) {
  connect();
  const auto [status, most] = ask(XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE, 0);
  EXPECT_EQ(status, unsigned{XEN_NETIF_CTRL_STATUS_SUCCESS});
  EXPECT_EQ(most, profile().max_static_grants);
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE, 1), kInvalid);
  auto* list = parameters<xen_netif_gref>();
  const auto add = [&](uint32_t entries) {
    return ask(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, 0, parameters_ref(), entries);
  };
  list[0] = {refs_[kData], XEN_NETIF_CTRLF_GREF_readonly, 0};
  list[1] = {31337, 0, 0};
  sim::GrantTable& grants = guest_->domain().grants();
  EXPECT_EQ(add(2), kInvalid);
  EXPECT_EQ(grants.use_count(refs_[kData]), 0u);
  EXPECT_EQ(add(1), kSuccess);
  EXPECT_EQ(grants.use_count(refs_[kData]), 1u);
  EXPECT_EQ(add(1), kInvalid) << "it is mapped already";
  EXPECT_EQ(add(4096), kInvalid);
  // What it holds goes out without another map or copy of the grant.
  tx_.put(request(100));
  EXPECT_EQ(push(), std::vector{NETIF_RSP_OKAY});
  const Bytes page = plain_frame(platform::kPageSize);
  EXPECT_EQ(port_.received().back().bytes, Bytes(page.begin(), page.begin() + 100));

  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING, 0, parameters_ref(), 2), (Answer{0, 1}));
  EXPECT_EQ(list[0].status, XEN_NETIF_CTRL_STATUS_SUCCESS);
  EXPECT_EQ(list[1].status, XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER);
  EXPECT_EQ(grants.use_count(refs_[kData]), 0u);
  EXPECT_EQ(add(1), kSuccess);  // netback has to let go of it by itself at the end
}

TEST_F(ControlBackendTest, NETIF_CTL_038_AnUnknownTypeIsNotSupported) {
  connect();
  for (const uint16_t type : std::initializer_list<uint16_t>{0, 11, 0xffff}) {
    EXPECT_EQ(ask(type), kNotSupported);
  }
}

TEST_F(ControlBackendTest, NETIF_CTL_013_AControlRingThatMakesNoSenseEndsTheConnection) {
  connect();
  reinterpret_cast<std::atomic<uint32_t>*>(pages_[kControl].address)->store(5000);
  guest_->run([this] { control_channel_->notify(); });
  expect_refused("netback to leave");
}

/// Linux' netback keeps no grants.
class LinuxControlTest : public ControlBackendTest {
  backends::NetbackProfile profile() const override {
    return *backends::find_netback_profile("linux");
  }
};

TEST_F(LinuxControlTest, NETIF_CTL_037_WhoKeepsNoGrantsSaysSo) {
  connect();
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE), kNotSupported);
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING, 0, parameters_ref(), 1), kNotSupported);
  EXPECT_EQ(ask(XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING, 0, parameters_ref(), 1), kNotSupported);
}

TEST_F(LinuxControlTest, NETIF_CTL_012_TheListIsEditedByDummyRequests) {
  connect();
  const auto tell = [&](uint8_t type, uint8_t last) {
    tx_.put(netif_tx_request_t{0, 0, NETTXF_extra_info, next_id_++, 0});
    netif_extra_info_t extra{};
    extra.type = type;
    const uint8_t address[6] = {0x01, 0, 0x5e, 0, 0, last};
    std::copy_n(address, 6, extra.u.mcast.addr);
    tx_.put(extra);
    return push();
  };
  const std::vector taken{NETIF_RSP_OKAY, NETIF_RSP_NULL};
  for (uint8_t i = 0; i < 64; ++i) EXPECT_EQ(tell(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, i), taken);
  EXPECT_EQ(tell(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, 64),
            (std::vector{NETIF_RSP_ERROR, NETIF_RSP_NULL}))
      << "its list is full";
  EXPECT_EQ(tell(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, 5), taken) << "it is there already";
  EXPECT_EQ(tell(XEN_NETIF_EXTRA_TYPE_MCAST_DEL, 200), taken);
  EXPECT_EQ(tell(XEN_NETIF_EXTRA_TYPE_MCAST_DEL, 5), taken);
  EXPECT_EQ(tell(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, 64), taken);
  EXPECT_TRUE(port_.received().empty()) << "none of it is a frame";
  expect_ring_goes_on();
}

}  // namespace
}  // namespace ringside::conformance
