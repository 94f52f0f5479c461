#include <random>

#include "conformance/xennet/adapter_fixture.hpp"

namespace ringside::conformance {
namespace {

using backends::Frame;
using xennet::NdisStatus;
using xennet::Oid;

constexpr unsigned kSeeds = 24;
constexpr unsigned kSteps = 120;

/// Worlds in which all that NDIS and a host do to an adapter happens in an order that the seed
/// draws. What has to hold is checked by the fixture when each ends.
class XennetSeedsTest : public AdapterFixture, public testing::WithParamInterface<unsigned> {
 protected:
  void SetUp() override {
    const uint64_t seed = options().seed * 1000 + GetParam();
    random_.seed(seed);
    const char* profiles[] = {"linux", "classic", "qnic"};
    build(profiles[below(3)],
          {{"LROIPv4", below(2)},
           {"NeedChecksumValue", below(2)},
           {"FrontendMaxQueues", 1 + below(2)}},
          seed);
    run_adapter();
  }
  uint32_t below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }

  Bytes some_frame() {
    const size_t payload = below(4) == 0 ? 1000 + below(20000) : below(1400);
    if (below(3) == 0) return plain_frame(60 + payload % 1454, below(100));
    return ip_frame({.version = below(2) == 0 ? 4u : 6u, .payload = payload, .seed = below(100)});
  }
  void send_some() {
    GuestList& list = new_list();
    sent_.push_back(&list);
    list.cancel_id = below(4);
    if (below(4) == 0) list.vlan = below(0x10000);
    const Bytes frame = some_frame();
    const bool tcp = xenvif::parse_headers(frame).protocol != 0;
    if (tcp && below(2) == 0) list.checksum = xennet::kSendTcpChecksum;
    if (tcp && (frame.size() > 1400 || below(3) == 0)) {
      const bool v6 = xenvif::parse_headers(frame).ip_version == 6;
      list.large_send = 1400u | xennet::kLargeSendV2 | (v6 ? xennet::kLargeSendIpv6 : 0);
    }
    for (unsigned i = below(4); i > 0; --i) {
      add(list, frame, {.chunk = 100 + below(1400), .offset = static_cast<uint16_t>(below(100))});
    }
    send(list, below(kCpus));
  }
  void inject_some() {
    for (unsigned i = below(60); i > 0; --i) {
      const Bytes frame = some_frame();
      const xenvif::Headers headers = xenvif::parse_headers(frame);
      if (frame.size() <= 1514) {
        inject(frame);
      } else if (headers.protocol != 0) {
        inject(with_pseudo_sum(frame), Frame::Checksum::kBlank,
               headers.ip_version == 4 ? Frame::GsoType::kTcpV4 : Frame::GsoType::kTcpV6, 1400);
      }
    }
  }
  void return_some() {
    std::shuffle(ndis_->kept.begin(), ndis_->kept.end(), random_);
    guest_->run(
        [&] {
          for (size_t i = below(40); i > 0 && !ndis_->kept.empty(); --i) {
            ndis_->kept.back()->next = nullptr;
            adapter().return_lists(ndis_->kept.back());
            ndis_->kept.pop_back();
          }
        },
        below(kCpus));
  }
  void pause_or_restart() {
    if (adapter().state() == xennet::Adapter::State::kRunning) {
      if (below(3) == 0) begin_pause();
    } else if (adapter().state() == xennet::Adapter::State::kPaused) {
      restart();
    }
  }
  void replace_backend() {
    netback_->stop();
    host_->toolstack().write(back("state"), "6");
    host_->pass(below(3) * platform::kMillisecond);
    netback_.reset();
    start_backend();
  }
  void step() {
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
      case 3: return send_some();
      case 4:
      case 5: return inject_some();
      case 6: return return_some();
      case 7: ndis_->keep = !ndis_->keep; return;
      case 8: return guest_->run([&] { adapter().cancel(below(4)); }, below(kCpus));
      case 9: return pause_or_restart();
      case 10: host_->toolstack().write(back("carrier"), below(4) == 0 ? "0" : "1"); return;
      default: break;
    }
    if (below(4) != 0) return host_->pass(below(2000) * 1000);
    if (below(3) == 0) return suspend_and_resume();
    if (below(2) == 0) return replace_backend();
    // NDIS powers an adapter down when it likes, and up again before anything else.
    const auto state = below(2) == 0 ? xennet::PowerState::kD0 : xennet::PowerState::kD3;
    (void)set(Oid::kPnpSetPower, state);
  }
  /// All lists are NDIS's again, whatever became of the back end.
  void finish() {
    return_kept();
    ndis_->keep = false;
    if (adapter().state() == xennet::Adapter::State::kRunning) begin_pause();
    host_->require("the pause to complete",
                   [&] { return adapter().state() == xennet::Adapter::State::kPaused; });
    for (GuestList* list : sent_) {
      ASSERT_TRUE(ended(*list).has_value());
      EXPECT_EQ(list->parts, 0u);
      EXPECT_TRUE(list->large_send == 0 || list->large_send == xennet::kLargeSendV2Complete);
    }
    EXPECT_EQ(ndis_->completions.size(), sent_.size());
  }

  std::mt19937_64 random_;
  std::vector<GuestList*> sent_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, XennetSeedsTest, testing::Range(0u, kSeeds));

TEST_P(XennetSeedsTest, XENNET_005_XENNET_008_XENNET_010_EachListOnceWhateverHappens) {
  for (unsigned i = 0; i < kSteps; ++i) step();
  finish();
}

}  // namespace
}  // namespace ringside::conformance
