#include "conformance/xennet/adapter_fixture.hpp"

namespace ringside::conformance {
namespace {

using xennet::NdisStatus;
using xennet::Oid;
using xennet::PowerState;

/// A network that takes nothing as long as it is closed.
class GatedPort final : public backends::Port {
 public:
  size_t room() override { return open ? SIZE_MAX : 0; }
  void sent(backends::Frame&&) override { ++frames; }
  bool receive(backends::Frame&) override { return false; }
  void set_open(bool now) {
    open = now;
    wake();
  }
  bool open = true;
  unsigned frames = 0;
};

class XennetStateTest : public AdapterFixture {
 protected:
  void SetUp() override {
    build("linux");
    run_adapter();
  }
  backends::Port& port() override { return gate_; }
  /// So many lists that most of them wait; every third has the id.
  std::vector<GuestList*> fill(unsigned count, uintptr_t id = 0) {
    std::vector<GuestList*> lists;
    for (unsigned i = 0; i < count; ++i) {
      GuestList& list = list_of(plain_frame(200, i));
      if (i % 3 == 0) list.cancel_id = id;
      lists.push_back(&list);
    }
    for (GuestList* list : lists) send(*list);
    return lists;
  }
  size_t count(NdisStatus status) const {
    size_t found = 0;
    for (const auto& [list, statuses] : ndis_->completions) {
      found += statuses == std::vector{status} ? 1 : 0;
    }
    return found;
  }
  void wait_for(size_t completions) {
    host_->require("lists to end", [&] { return ndis_->completions.size() >= completions; });
    settle();
  }

  GatedPort gate_;
};

TEST_F(XennetStateTest, XENNET_007_CancellingEndsWhatWaitsAndHasTheId) {
  gate_.set_open(false);
  const auto lists = fill(600, 42);
  settle();
  guest_->run([&] { adapter().cancel(41); }, 1);
  EXPECT_EQ(ndis_->completions.size(), 0u);
  guest_->run([&] { adapter().cancel(42); }, 1);
  const size_t cancelled = ndis_->completions.size();
  EXPECT_GT(cancelled, 50u);
  EXPECT_EQ(count(NdisStatus::kSendAborted), cancelled);
  for (const auto& [list, statuses] : ndis_->completions) EXPECT_EQ(list->cancel_id, 42u);
  gate_.set_open(true);
  wait_for(lists.size());
  EXPECT_EQ(count(NdisStatus::kSuccess), lists.size() - cancelled);
  EXPECT_EQ(gate_.frames, lists.size() - cancelled);
}

TEST_F(XennetStateTest, XENNET_008_APauseWaitsForWhatTheBackEndHas) {
  gate_.set_open(false);
  const auto lists = fill(600);
  settle();
  begin_pause();
  const size_t refused = ndis_->completions.size();
  EXPECT_GT(refused, 100u);
  EXPECT_EQ(count(NdisStatus::kPaused), refused);
  GuestList& late = list_of(plain_frame(100));
  send(late);
  EXPECT_EQ(ended(late), NdisStatus::kPaused);
  settle();
  EXPECT_EQ(ndis_->pauses, 0u);
  gate_.set_open(true);
  host_->require("the pause to complete", [&] { return ndis_->pauses == 1; });
  EXPECT_EQ(ndis_->completions.size(), lists.size() + 1);
  EXPECT_EQ(count(NdisStatus::kSuccess), lists.size() - refused);
  restart();
  EXPECT_EQ(send_and_wait(list_of(plain_frame(100))), NdisStatus::kSuccess);
}

TEST_F(XennetStateTest, XENNET_022_BelowD0TheVifHasLeft) {
  EXPECT_EQ(set(Oid::kPnpQueryPower, 0), NdisStatus::kInvalidOid);
  for (const PowerState state : {PowerState::kD3, PowerState::kD2}) {
    EXPECT_EQ(set(Oid::kPnpSetPower, state), NdisStatus::kSuccess);
    EXPECT_EQ(send_and_wait(list_of(plain_frame(100))), NdisStatus::kLowPowerState);
    EXPECT_EQ(host_->toolstack().read(back("state")), "6");
    EXPECT_EQ(set(Oid::kPnpSetPower, PowerState::kD0), NdisStatus::kSuccess);
    host_->require("the link", [&] { return adapter().vif().link() == xenvif::LinkState::kUp; });
    EXPECT_EQ(send_and_wait(list_of(plain_frame(100))), NdisStatus::kSuccess);
  }
  EXPECT_EQ(gate_.frames, 2u);
  EXPECT_EQ(set(Oid::kPnpSetPower, uint32_t{5}), NdisStatus::kInvalidData);
}

TEST_F(XennetStateTest, XENNET_022_GoingToSleepEndsWhatIsUnderWay) {
  gate_.set_open(false);
  const auto lists = fill(600);
  settle();
  EXPECT_EQ(set(Oid::kPnpSetPower, PowerState::kD3), NdisStatus::kSuccess);
  EXPECT_EQ(ndis_->completions.size(), lists.size());
  EXPECT_EQ(count(NdisStatus::kLowPowerState) + count(NdisStatus::kMediaDisconnected),
            lists.size());
  pause();
}

TEST_F(XennetStateTest, XENNET_023_TheLinkIsToldAndFollowed) {
  EXPECT_EQ(query<uint32_t>(Oid::kGenMediaConnectStatus), 0u);
  gate_.set_open(false);
  const auto lists = fill(600);
  settle();
  host_->toolstack().write(back("carrier"), "0");
  host_->require("the link to go", [&] { return ndis_->indications(NdisStatus::kLinkState) == 1; });
  auto link = ndis_->last<xennet::LinkState>(NdisStatus::kLinkState);
  EXPECT_EQ(link.connected, xennet::ConnectState::kDisconnected);
  EXPECT_EQ(link.xmit_speed, xennet::kLinkSpeedUnknown);
  EXPECT_EQ(query<uint32_t>(Oid::kGenMediaConnectStatus), 1u);
  EXPECT_GT(count(NdisStatus::kMediaDisconnected), 100u) << "what waited";
  EXPECT_EQ(send_and_wait(list_of(plain_frame(100))), NdisStatus::kMediaDisconnected);
  gate_.set_open(true);
  wait_for(lists.size() + 1);
  host_->toolstack().write(back("carrier"), "1");
  host_->require("the link", [&] { return ndis_->indications(NdisStatus::kLinkState) == 2; });
  link = ndis_->last<xennet::LinkState>(NdisStatus::kLinkState);
  EXPECT_EQ(link.connected, xennet::ConnectState::kConnected);
  EXPECT_EQ(link.duplex, xennet::DuplexState::kFull);
  EXPECT_EQ(send_and_wait(list_of(plain_frame(100))), NdisStatus::kSuccess);
}

TEST_F(XennetStateTest, XENNET_005_ABackEndThatDiesEndsEachListOnce) {
  gate_.set_open(false);
  const auto lists = fill(600);
  settle();
  netback_->stop();
  host_->toolstack().write(back("state"), "6");
  wait_for(lists.size());
  EXPECT_EQ(count(NdisStatus::kMediaDisconnected), lists.size());
  netback_.reset();
  gate_.open = true;
  start_backend();
  host_->require("the link", [&] { return adapter().vif().link() == xenvif::LinkState::kUp; });
  EXPECT_EQ(send_and_wait(list_of(plain_frame(100))), NdisStatus::kSuccess);
}

TEST_F(XennetStateTest, XENNET_005_ASavedGuestEndsEachListOnceWhenItIsBack) {
  gate_.set_open(false);
  const auto lists = fill(600);
  settle();
  gate_.open = true;
  suspend_and_resume();
  host_->require("the link", [&] { return adapter().vif().link() == xenvif::LinkState::kUp; });
  wait_for(lists.size());
  EXPECT_EQ(count(NdisStatus::kMediaDisconnected), lists.size());
  EXPECT_EQ(ndis_->indications(NdisStatus::kLinkState), 2u);
  EXPECT_EQ(send_and_wait(list_of(plain_frame(100))), NdisStatus::kSuccess);
}

TEST_F(XennetStateTest, XENNET_008_AnAdapterThatWasNeverRestartedRefuses) {
  pause();
  EXPECT_EQ(send_and_wait(list_of(plain_frame(100))), NdisStatus::kPaused);
  guest_->run([&] { adapter().halt(); });
  EXPECT_EQ(send_and_wait(list_of(plain_frame(101))), NdisStatus::kPaused);
}

TEST_F(XennetStateTest, AnAdapterThatMemoryFailsIsGivenUpWhole) {
  guest_->run([&] {
    auto held = xenbus::AcquiredServices::acquire(guest_->platform(), guest_->bus().directory(),
                                                  xennet::Adapter::kConsumer);
    ASSERT_TRUE(held.ok());
    const auto create = [&] {
      return xennet::Adapter::create((*held).services(), "device/vif/0", *ndis_).status();
    };
    const uint64_t before = guest_->guest().allocations();
    ASSERT_EQ(create(), Status::kOk);
    const uint64_t count = guest_->guest().allocations() - before;
    ASSERT_GT(count, 50u);
    for (uint64_t i = 1; i <= count; ++i) {
      guest_->guest().fail_allocation_at(i);
      EXPECT_EQ(create(), Status::kNoMemory) << i;
    }
    guest_->guest().fail_allocation_at(0);
    EXPECT_EQ(create(), Status::kOk);
  });
}

/// With an address of the administrator's.
class XennetAddressTest : public AdapterFixture {};

TEST_F(XennetAddressTest, XENNET_017_NetworkAddressReplacesTheCurrentOne) {
  run_adapter("02-00-00-00-00-FE");
  using Mac = std::array<uint8_t, 6>;
  EXPECT_EQ(query<Mac>(Oid::k8023CurrentAddress), (Mac{2, 0, 0, 0, 0, 0xfe}));
  EXPECT_EQ(query<Mac>(Oid::k8023PermanentAddress), (Mac{0, 0x16, 0x3e, 0, 0, 1}));
  set_filter(xennet::kFilterDirected);
  Bytes frame = plain_frame(100);
  std::memcpy(frame.data(), Mac{2, 0, 0, 0, 0, 0xfe}.data(), 6);
  inject(frame);
  EXPECT_EQ(wait_received(1)[0].bytes, frame);
}

TEST_F(XennetAddressTest, XENNET_017_WhatIsNoStationsAddressIsIgnored) {
  for (const char* text : {"", "0200000000", "0200000000zz", "01005e000001", "000000000000",
                           "ffffffffffff", "02_00_00_00_00_01", "+20000000001"}) {
    EXPECT_FALSE(xennet::parse_network_address(text)) << text;
  }
  EXPECT_TRUE(xennet::parse_network_address("0200000000Ab"));
  run_adapter("01005e000001");
  EXPECT_EQ(query<xenvif::MacAddress>(Oid::k8023CurrentAddress),
            query<xenvif::MacAddress>(Oid::k8023PermanentAddress));
}

/// No back end ever comes.
class XennetAloneTest : public AdapterFixture {};

TEST_F(XennetAloneTest, XENNET_005_WithoutABackEndItIsNotReady) {
  netback_.reset();
  guest_->run([&] { EXPECT_EQ(adapter().initialize({}), NdisStatus::kAdapterNotReady); }, 0,
              300 * platform::kSecond);
  EXPECT_EQ(adapter().state(), xennet::Adapter::State::kHalted);
}

}  // namespace
}  // namespace ringside::conformance
