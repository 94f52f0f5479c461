#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/host.hpp"

namespace ringside::conformance {
namespace {

using xenbus::EventChannel;

/// Two-level event channels against the simulated Xen, dom0 being the peer.
class EventTest : public testing::Test {
 protected:
  /// One channel to dom0 and what its handler saw.
  struct Line {
    void fired() {
      ++fires;
      cpu = platform->cpu();
      if (then) then();
    }
    platform::Platform* platform = nullptr;
    Owned<EventChannel> channel;
    sim::Port peer = 0;
    int fires = 0;
    unsigned cpu = 99;
    std::function<void()> then;
  };

  ~EventTest() override {
    guest_.run([this] { lines_.clear(); });
  }
  Line& open(unsigned cpu = 0) {
    Line& line = *lines_.emplace_back(std::make_unique<Line>());
    line.platform = &guest_.platform();
    guest_.run([&] {
      line.channel =
          *guest_.services().events.open_unbound(0, Delegate::to<&Line::fired>(line), cpu);
    });
    line.peer =
        static_cast<sim::Port>(dom0().bind_interdomain(guest_.domid(), line.channel->port()));
    return line;
  }
  void send(const Line& line) { ASSERT_EQ(dom0().send(line.peer), 0); }
  void settle() { host_.pass(10 * platform::kMillisecond); }
  sim::EventChannels& dom0() { return host_.machine().dom0().events(); }

  Host host_;
  DriverGuest guest_{host_, {.vcpus = 2}};
  std::vector<std::unique_ptr<Line>> lines_;
};

TEST_F(EventTest, EVTCHN_001_EachPendingPortIsServedAndAcknowledged) {
  std::vector<Line*> lines;
  for (int i = 0; i < 100; ++i) lines.push_back(&open());
  settle();
  for (Line* line : lines) line->fires = 0;
  for (Line* line : lines) send(*line);
  settle();
  for (Line* line : lines) {
    EXPECT_EQ(line->fires, 1) << line->channel->port();
    EXPECT_FALSE(guest_.domain().events().pending(line->channel->port()));
  }
}

TEST_F(EventTest, EVTCHN_001_AnEventWhileMaskedIsToldAtUnmask) {
  Line& line = open();
  settle();
  line.fires = 0;
  guest_.run([&] { line.channel->mask(); });
  send(line);
  settle();
  EXPECT_EQ(line.fires, 0);
  guest_.run([&] {
    EXPECT_TRUE(line.channel->unmask()) << "there is work to look for";
    EXPECT_FALSE(line.channel->unmask()) << "and now there is none";
  });
  settle();
  EXPECT_EQ(line.fires, 0) << "the caller has been told already";
  send(line);
  settle();
  EXPECT_EQ(line.fires, 1);
}

TEST_F(EventTest, EVTCHN_001_UnmaskFromAnotherCpuRaisesTheEventWhereItBelongs) {
  Line& line = open(0);
  settle();
  line.fires = 0;
  guest_.run([&] { line.channel->mask(); });
  send(line);
  settle();
  guest_.run([&] { EXPECT_FALSE(line.channel->unmask()); }, 1);
  settle();
  EXPECT_EQ(line.fires, 1);
  EXPECT_EQ(line.cpu, 0u);
}

TEST_F(EventTest, EVTCHN_003_AnEventComesToTheCpuItIsBoundTo) {
  Line& zero = open(0);
  Line& one = open(1);
  settle();
  send(zero);
  send(one);
  settle();
  EXPECT_EQ(zero.cpu, 0u);
  EXPECT_EQ(one.cpu, 1u);
}

TEST_F(EventTest, EVTCHN_003_ACpuThatIsNotThereIsRefused) {
  guest_.run([&] {
    EXPECT_EQ(guest_.services().events.open_unbound(0, {}, 2).status(), Status::kInvalidArgument);
  });
}

TEST_F(EventTest, EVTCHN_004_AStormOnOnePortStarvesNobody) {
  Line& storm = open();
  Line& other = open();
  settle();
  other.fires = 0;
  storm.fires = 0;
  int fires_before_other = -1;
  storm.then = [&] {
    if (storm.fires < 5000) send(storm);
  };
  other.then = [&] { fires_before_other = storm.fires; };
  send(storm);
  send(other);
  settle();
  EXPECT_EQ(other.fires, 1);
  EXPECT_LE(fires_before_other, 1) << "each upcall serves a port once";
  EXPECT_EQ(storm.fires, 5000);
}

TEST_F(EventTest, EVTCHN_004_AnEventWithoutAHandlerIsIgnored) {
  Line& line = open();
  settle();
  shared_info_t& shared = guest_.domain().shared_info();
  std::atomic_ref(shared.evtchn_pending[5]).fetch_or(1);
  std::atomic_ref(shared.evtchn_mask[5]).fetch_and(~xen_ulong_t{1});
  std::atomic_ref(guest_.domain().vcpu_info(0).evtchn_pending_sel).fetch_or(1u << 5 | 1u << 9);
  line.fires = 0;
  send(line);
  settle();
  EXPECT_EQ(line.fires, 1);
}

TEST_F(EventTest, EVTCHN_005_AnEventDuringItsHandlerIsNotLost) {
  Line& line = open();
  settle();
  line.fires = 0;
  line.then = [&] {
    EXPECT_FALSE(guest_.domain().events().pending(line.channel->port()))
        << "acknowledged before its handler";
    if (line.fires == 1) send(line);
  };
  send(line);
  settle();
  EXPECT_EQ(line.fires, 2);
}

TEST_F(EventTest, EventsReachThePeer) {
  Line& line = open();
  (void)dom0().take_pending(line.peer);
  guest_.run([&] { line.channel->notify(); });
  EXPECT_TRUE(dom0().take_pending(line.peer));
}

TEST_F(EventTest, AClosedChannelCallsNobodyAndLeavesNoPort) {
  Line& line = open();
  const sim::Port port = line.channel->port();
  settle();
  line.fires = 0;
  guest_.run([&] { line.channel.reset(); });
  (void)dom0().send(line.peer);
  settle();
  EXPECT_EQ(line.fires, 0);
  EXPECT_FALSE(guest_.domain().events().open(port));
  (void)dom0().close(line.peer);
}

TEST_F(EventTest, AHandlerMayCloseItsOwnChannel) {
  Line& line = open();
  settle();
  line.fires = 0;
  line.then = [&] { line.channel.reset(); };
  send(line);
  settle();
  EXPECT_EQ(line.fires, 1);
  EXPECT_FALSE(line.channel);
}

TEST_F(EventTest, AnInterdomainChannelBindsToThePeersPort) {
  const auto offered = static_cast<sim::Port>(dom0().alloc_unbound(guest_.domid()));
  Line line;
  line.platform = &guest_.platform();
  guest_.run([&] {
    line.channel =
        *guest_.services().events.open_interdomain(0, offered, Delegate::to<&Line::fired>(line), 1);
    EXPECT_FALSE(guest_.services().events.open_interdomain(0, 4000, {}, 0).ok());
  });
  settle();
  line.fires = 0;
  ASSERT_EQ(dom0().send(offered), 0);
  settle();
  EXPECT_EQ(line.fires, 1);
  EXPECT_EQ(line.cpu, 1u);
  guest_.run([&] { line.channel.reset(); });
}

TEST_F(EventTest, EveryChannelGivenBackLeavesNothing) {
  for (int i = 0; i < 10; ++i) open(static_cast<unsigned>(i) % 2);
  guest_.run([this] {
    for (auto& line : lines_) line->channel.reset();
  });
  for (auto& line : lines_) (void)dom0().close(line->peer);
  EXPECT_EQ(guest_.shut_down(), std::vector<std::string>{});
}

}  // namespace
}  // namespace ringside::conformance
