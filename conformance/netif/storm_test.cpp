#include "conformance/netif/played_backend.hpp"

namespace ringside::conformance {
namespace {

class NetifStormTest : public PlayedBackendFixture {};

/// The vif masks its channel for a while, and loses nothing by that.
TEST_F(NetifStormTest, EVTCHN_006_ABackEndThatAnnouncesNothingIsHeardSeldom) {
  connect({{"feature-sg", "1"}});
  const auto port = static_cast<sim::Port>(std::stoul(*front_value("event-channel")));
  sim::EventChannels& channels = guest_->domain().events();
  settle();
  EXPECT_FALSE(channels.masked(port));
  unsigned deaf = 0;
  for (int i = 0; i < 500; ++i) {
    xenevtchn_notify(events_, tx_port_);
    host_->pass(platform::kMillisecond);
    if (channels.masked(port)) ++deaf;
  }
  EXPECT_GT(deaf, 400u);

  const uint64_t cookie = send(plain_frame(100));
  answer_all(take_tx());
  push_tx();
  host_->pass(2 * platform::kSecond);
  EXPECT_EQ(ended(cookie), xenvif::TxStatus::kSent);
  EXPECT_FALSE(channels.masked(port)) << "there was work";
}

}  // namespace
}  // namespace ringside::conformance
