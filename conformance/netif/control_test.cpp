#include <cstring>
#include <map>

#include "conformance/netif/played_backend.hpp"
#include "protocols/xenvif/hash_control.hpp"

namespace ringside::conformance {
namespace {

using xenvif::HashConfig;
using xenvif::PacketHash;
using xenvif::RxDrop;

/// The front end's control ring, against a back end that the test plays.
class ControlTest : public PlayedBackendFixture {
 protected:
  using Ring = ring::BackRing<xen_netif_ctrl_request, xen_netif_ctrl_response>;
  struct Answer {
    uint32_t status = XEN_NETIF_CTRL_STATUS_SUCCESS;
    uint32_t data = 0;
  };

  void connect_with_control() {
    offer({{"feature-sg", "1"},
           {"feature-rx-copy", "1"},
           {"feature-ctrl-ring", "1"},
           {"feature-split-event-channels", "1"}});
    EXPECT_TRUE(front_value("ctrl-ring-ref")) << "written before Connected";
    accept();
    control_page_ = map(number("ctrl-ring-ref"));
    ASSERT_NE(control_page_, nullptr);
    control_ = *Ring::create({static_cast<std::byte*>(control_page_), ring::kRingPageSize});
    control_port_ = bind(number("event-channel-ctrl"));
    serve();
  }
  void TearDown() override {
    if (control_page_ != nullptr && grants_ != nullptr) {
      xengnttab_unmap(grants_, control_page_, 1);
      xenevtchn_unbind(events_, control_port_);
    }
    PlayedBackendFixture::TearDown();
  }

  /// Answers all that is asked, as `answers` says, until nothing is asked any more.
  void serve() {
    for (;;) {
      settle();
      bool any = false;
      for (auto request = control_.take(); request && *request; request = control_.take()) {
        any = true;
        asked_.push_back(**request);
        note(**request);
        if (mute_) continue;
        const Answer answer = answers_[(*request)->type];
        control_.put(
            xen_netif_ctrl_response{(*request)->id, (*request)->type, answer.status, answer.data});
      }
      if (!any) return;
      (void)control_.publish();
      xenevtchn_notify(events_, control_port_);
    }
  }
  void note(const xen_netif_ctrl_request& request) {
    if (request.type == XEN_NETIF_CTRL_TYPE_SET_HASH_KEY) {
      key_ = read(request.data[0], 0, static_cast<uint16_t>(request.data[1]));
    }
    if (request.type == XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING) {
      table_ = read(request.data[0], 0, static_cast<uint16_t>(4 * request.data[1]));
    }
  }
  std::vector<uint16_t> types() const {
    std::vector<uint16_t> types;
    for (const auto& request : asked_) types.push_back(request.type);
    return types;
  }
  static HashConfig config() {
    HashConfig config;
    config.types = xenvif::kAllHashTypes;
    for (size_t i = 0; i < config.key.size(); ++i) config.key[i] = static_cast<std::byte>(i + 1);
    config.key_length = 40;
    config.mapping_size = 8;
    for (uint16_t i = 0; i < 8; ++i) config.mapping[i] = i;
    return config;
  }
  void configure(const HashConfig& config) {
    asked_.clear();
    guest_->run([&] { EXPECT_EQ(vif().configure_hash(config), Status::kOk); });
    serve();
  }
  void willing() {
    answers_[XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS] = {0, 0xf};
    answers_[XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE] = {0, 128};
    answers_[XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE] = {XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED, 0};
  }
  static netif_extra_info_t hash_extra(uint8_t type, uint32_t value) {
    netif_extra_info_t extra{};
    extra.type = XEN_NETIF_EXTRA_TYPE_HASH;
    extra.u.hash.type = type;
    extra.u.hash.algorithm = XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ;
    for (unsigned i = 0; i < 4; ++i) extra.u.hash.value[i] = static_cast<uint8_t>(value >> 8 * i);
    return extra;
  }

  void* control_page_ = nullptr;
  Ring control_;
  evtchn_port_t control_port_ = 0;
  std::map<uint16_t, Answer> answers_;
  std::vector<xen_netif_ctrl_request> asked_;
  Bytes key_;
  Bytes table_;
  bool mute_ = false;
};

TEST_F(ControlTest, NETIF_CTL_013_WithoutTheFeatureThereIsNoControlRing) {
  connect(kAll);
  EXPECT_FALSE(front_value("ctrl-ring-ref"));
  EXPECT_FALSE(front_value("event-channel-ctrl"));
  guest_->run([this] { EXPECT_EQ(vif().configure_hash(config()), Status::kOk); });
  settle();
  EXPECT_FALSE(vif().backend_hashes());
}

TEST_F(ControlTest, NETIF_CTL_032_KeyAndTableThenAlgorithmAndTypes) {
  willing();
  connect_with_control();
  configure(config());
  EXPECT_EQ(types(),
            (std::vector<uint16_t>{
                XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE,
                XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE, XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING,
                XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS,
                XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS}));
  EXPECT_TRUE(vif().backend_hashes());
  const HashConfig wanted = config();
  EXPECT_EQ(key_, Bytes(wanted.key.begin(), wanted.key.end()));
  EXPECT_EQ(table_, Bytes(32)) << "with one queue every value leads to it [NETIF-CTL-035]";
}

TEST_F(ControlTest, NETIF_CTL_032_OnlyWhatTheBackEndHasIsAskedFor) {
  willing();
  answers_[XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS] = {0, 0x3};
  connect_with_control();
  configure(config());
  EXPECT_EQ(asked_.back().type, XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS);
  EXPECT_EQ(asked_.back().data[0], 0x3u);
}

TEST_F(ControlTest, NETIF_CTL_034_ATableThatDoesNotFitIsLeftOut) {
  willing();
  answers_[XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE] = {0, 4};
  connect_with_control();
  configure(config());
  EXPECT_EQ(asked_[2].type, XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE);
  EXPECT_EQ(asked_[2].data[0], 0u);
  EXPECT_EQ(asked_[3].type, XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM) << "and no table";
  EXPECT_TRUE(vif().backend_hashes());
}

TEST_F(ControlTest, NETIF_CTL_036_HalfAConfigurationIsTakenBack) {
  constexpr uint16_t kRefused[] = {
      XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM, XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS,
      XEN_NETIF_CTRL_TYPE_SET_HASH_KEY, XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING};
  for (const uint16_t refused : kRefused) {
    willing();
    if (control_page_ == nullptr) connect_with_control();
    answers_[refused] = {XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER, 0};
    configure(config());
    EXPECT_FALSE(vif().backend_hashes()) << refused;
    EXPECT_EQ(asked_.back().type, XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM);
    EXPECT_EQ(asked_.back().data[0], unsigned{XEN_NETIF_CTRL_HASH_ALGORITHM_NONE});
    answers_.erase(refused);
  }
  configure(config());
  EXPECT_TRUE(vif().backend_hashes());
  configure({});
  EXPECT_FALSE(vif().backend_hashes());
}

TEST_F(ControlTest, NETIF_CTL_037_PagesThatStayGrantedAreOfferedOnce) {
  willing();
  answers_[XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE] = {0, 10};
  connect_with_control();
  ASSERT_EQ(types(), (std::vector<uint16_t>{XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE,
                                            XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING}));
  EXPECT_EQ(asked_[1].data[0], 0u);
  EXPECT_EQ(asked_[1].data[2], 10u) << "as many as fit";
  const Bytes list = read(asked_[1].data[1], 0, 10 * sizeof(xen_netif_gref));
  for (unsigned i = 0; i < 10; ++i) {
    xen_netif_gref entry;
    std::memcpy(&entry, &list[i * sizeof(entry)], sizeof(entry));
    EXPECT_EQ(entry.flags, unsigned{XEN_NETIF_CTRLF_GREF_readonly});
    EXPECT_EQ(read(entry.ref, 0, 4096).size(), 4096u);
  }
  configure(config());
  EXPECT_EQ(types().front(), XEN_NETIF_CTRL_TYPE_SET_HASH_KEY);
}

TEST_F(ControlTest, NETIF_CTL_033_ASilentBackEndKeepsTheParametersAndNoMoreIsAsked) {
  willing();
  connect_with_control();
  mute_ = true;
  configure(config());
  host_->pass(20 * platform::kSecond);
  ASSERT_EQ(asked_.size(), 1u);
  mute_ = false;
  serve();
  EXPECT_EQ(asked_.size(), 1u) << "neither the rest nor another configuration";
  EXPECT_EQ(vif().link(), xenvif::LinkState::kUp);
}

TEST_F(ControlTest, NETIF_CTL_013_AnAnswerNobodyAskedForEndsTheConnection) {
  willing();
  connect_with_control();
  guest_->run([&] { EXPECT_EQ(vif().configure_hash(config()), Status::kOk); });
  settle();
  const auto request = control_.take();
  ASSERT_TRUE(request && *request);
  control_.put(
      xen_netif_ctrl_response{static_cast<uint16_t>((*request)->id + 1), (*request)->type, 0, 0});
  (void)control_.publish();
  xenevtchn_notify(events_, control_port_);
  wait_for_frontend(XenbusStateClosing);
}

TEST_F(ControlTest, NETIF_RX_029_AHashComesOnlyWhereItWasAskedFor) {
  willing();
  connect_with_control();
  const auto packet = [&](uint8_t type, uint32_t value) {
    receive(plain_frame(100), NETRXF_extra_info);
    receive_extra(hash_extra(type, value));
    push_rx();
  };
  packet(0, 0x12345678);
  EXPECT_EQ(queue().receive_statistics().count(RxDrop::kBadExtra), 1u);
  EXPECT_TRUE(client_.frames.empty());
  configure(config());
  packet(1, 0x12345678);
  ASSERT_EQ(client_.frames.size(), 1u);
  EXPECT_EQ(client_.frames[0].hash, (PacketHash{xenvif::HashType::kTcpV4, 0x12345678}));
  packet(4, 1);  // no such type
  EXPECT_EQ(client_.frames.size(), 1u);
  configure({});
  packet(1, 7);
  EXPECT_EQ(client_.frames.size(), 2u) << "one that was under way does no harm";
}

TEST_F(ControlTest, NETIF_RX_029_AndIsSentOnlyToWhoTakesIt) {
  willing();
  connect_with_control();
  const Bytes frame = ip_frame({});
  const Sending hashed{.hash = {xenvif::HashType::kTcpV4, 0xa1b2c3d4}};
  send(frame, hashed);
  auto slots = take_tx();
  ASSERT_EQ(slots.size(), 1u);
  EXPECT_EQ(slots[0].flags & NETTXF_extra_info, 0);
  answer_all(slots);
  push_tx();
  configure(config());
  send(frame, hashed);
  slots = take_tx();
  ASSERT_EQ(slots.size(), 2u);
  EXPECT_NE(slots[0].flags & NETTXF_extra_info, 0);
  const auto extra = ring::slot_as<netif_extra_info_t>(slots[1]);
  EXPECT_EQ(extra.type, XEN_NETIF_EXTRA_TYPE_HASH);
  EXPECT_EQ(extra.u.hash.type, 1);
  EXPECT_EQ(extra.u.hash.value[0], 0xd4) << "least significant first";
  EXPECT_EQ(extra.u.hash.value[3], 0xa1);
  answer(slots[0].id, NETIF_RSP_OKAY);
  answer(slots[0].id, NETIF_RSP_NULL);
  push_tx();
  EXPECT_EQ(client_.completed(xenvif::TxStatus::kSent), 2u);
}

}  // namespace
}  // namespace ringside::conformance
