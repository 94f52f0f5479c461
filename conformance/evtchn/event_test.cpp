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

enum class Abi { kTwoLevel, kFifo };

HostConfig with(Abi abi) {
  HostConfig config;
  config.machine.fifo_events = abi == Abi::kFifo;
  return config;
}

/// Event channels of either ABI against the simulated Xen, dom0 being the peer.
class EventTest : public testing::TestWithParam<Abi> {
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

  void SetUp() override {
    if (GetParam() != Abi::kFifo) return;
    if (const auto why = chosen_xen_lacks(sim::XenFeature::kFifoEvents)) GTEST_SKIP() << *why;
  }
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
  /// The second CPU where it can have events.
  unsigned last_cpu() { return guest_.bus().events().cpus() - 1; }
  sim::EventChannels& dom0() { return host_.machine().dom0().events(); }

  Host host_{with(GetParam())};
  DriverGuest guest_{host_, {.vcpus = 2}};
  std::vector<std::unique_ptr<Line>> lines_;
};

INSTANTIATE_TEST_SUITE_P(Abis, EventTest, testing::Values(Abi::kTwoLevel, Abi::kFifo),
                         [](const auto& abi) {
                           return abi.param == Abi::kFifo ? "Fifo" : "TwoLevel";
                         });

TEST_P(EventTest, TheAbiIsTheBestThatXenHas) {
  EXPECT_EQ(guest_.bus().events().uses_fifo(), GetParam() == Abi::kFifo);
}

TEST_P(EventTest, EVTCHN_001_EachPendingPortIsServedAndAcknowledged) {
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

TEST_P(EventTest, EVTCHN_001_AnEventWhileMaskedIsToldAtUnmask) {
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

TEST_P(EventTest, EVTCHN_001_UnmaskFromAnotherCpuRaisesTheEventWhereItBelongs) {
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

TEST_P(EventTest, EVTCHN_003_AnEventComesToTheCpuItIsBoundTo) {
  if (const auto why = chosen_xen_lacks(sim::XenFeature::kUpcallVector)) GTEST_SKIP() << *why;
  Line& zero = open(0);
  Line& one = open(1);
  settle();
  send(zero);
  send(one);
  settle();
  EXPECT_EQ(zero.cpu, 0u);
  EXPECT_EQ(one.cpu, 1u);
}

TEST_P(EventTest, EVTCHN_003_ACpuThatIsNotThereIsRefused) {
  guest_.run([&] {
    EXPECT_EQ(guest_.services().events.open_unbound(0, {}, 2).status(), Status::kInvalidArgument);
  });
}

TEST_P(EventTest, EVTCHN_004_AStormOnOnePortStarvesNobody) {
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

TEST_P(EventTest, EVTCHN_004_AnEventWithoutAHandlerIsIgnored) {
  Line& line = open();
  settle();
  const auto stray = static_cast<sim::Port>(guest_.domain().events().alloc_unbound(0));
  const auto sender = static_cast<sim::Port>(dom0().bind_interdomain(guest_.domid(), stray));
  (void)guest_.domain().events().unmask(stray);
  ASSERT_EQ(dom0().send(sender), 0);
  line.fires = 0;
  send(line);
  settle();
  EXPECT_EQ(line.fires, 1);
  (void)guest_.domain().events().close(stray);
}

TEST_P(EventTest, EVTCHN_005_AnEventDuringItsHandlerIsNotLost) {
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

TEST_P(EventTest, EventsReachThePeer) {
  Line& line = open();
  (void)dom0().take_pending(line.peer);
  guest_.run([&] { line.channel->notify(); });
  EXPECT_TRUE(dom0().take_pending(line.peer));
}

TEST_P(EventTest, AClosedChannelCallsNobodyAndLeavesNoPort) {
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

TEST_P(EventTest, AHandlerMayCloseItsOwnChannel) {
  Line& line = open();
  settle();
  line.fires = 0;
  line.then = [&] { line.channel.reset(); };
  send(line);
  settle();
  EXPECT_EQ(line.fires, 1);
  EXPECT_FALSE(line.channel);
}

TEST_P(EventTest, AnInterdomainChannelBindsToThePeersPort) {
  const auto offered = static_cast<sim::Port>(dom0().alloc_unbound(guest_.domid()));
  Line line;
  line.platform = &guest_.platform();
  guest_.run([&] {
    line.channel = *guest_.services().events.open_interdomain(
        0, offered, Delegate::to<&Line::fired>(line), last_cpu());
    EXPECT_FALSE(guest_.services().events.open_interdomain(0, 4000, {}, 0).ok());
  });
  settle();
  line.fires = 0;
  ASSERT_EQ(dom0().send(offered), 0);
  settle();
  EXPECT_EQ(line.fires, 1);
  EXPECT_EQ(line.cpu, last_cpu());
  guest_.run([&] { line.channel.reset(); });
}

TEST_P(EventTest, EVTCHN_003_AChannelCanMoveToAnotherCpuWithItsEvent) {
  if (const auto why = chosen_xen_lacks(sim::XenFeature::kUpcallVector)) GTEST_SKIP() << *why;
  Line& line = open(0);
  settle();
  line.fires = 0;
  guest_.run([&] {
    line.channel->mask();
    send(line);
    EXPECT_EQ(line.channel->bind(1), Status::kOk);
    EXPECT_EQ(line.channel->bind(2), Status::kInvalidArgument);
  });
  settle();
  EXPECT_EQ(line.fires, 0) << "masked still";
  guest_.run([&] { EXPECT_FALSE(line.channel->unmask()) << "it is another CPU's"; });
  settle();
  EXPECT_EQ(line.fires, 1);
  EXPECT_EQ(line.cpu, 1u);
  for (unsigned round = 0; round < 20; ++round) {
    guest_.run([&] {
      send(line);
      EXPECT_EQ(line.channel->bind(round % 2), Status::kOk);
    });
    settle();
  }
  EXPECT_EQ(line.fires, 21) << "none lost on the way";
}

TEST_P(EventTest, EVTCHN_007_EventsAreCountedAndCanBeWaitedFor) {
  Line& line = open();
  settle();
  const uint32_t seen = line.channel->count();
  Status in_vain = Status::kOk;
  guest_.run([&] {
    in_vain = line.channel->wait(seen, guest_.platform().now() + platform::kMillisecond);
  });
  EXPECT_EQ(in_vain, Status::kTimedOut);
  uint32_t counted_in_handler = 0;
  line.then = [&] { counted_in_handler = line.channel->count(); };
  Status status = Status::kTimedOut;
  guest_.run([&] {
    send(line);
    status = line.channel->wait(seen, guest_.platform().now() + platform::kSecond);
  });
  EXPECT_EQ(status, Status::kOk);
  EXPECT_EQ(line.channel->count(), seen + 1);
  EXPECT_EQ(counted_in_handler, seen + 1) << "counted before its handler runs";
}

TEST_P(EventTest, AChannelMayMaskItselfAtEachEvent) {
  Line& line = open();
  settle();
  guest_.run([&] { line.channel->set_auto_mask(true); });
  line.fires = 0;
  send(line);
  settle();
  send(line);
  settle();
  EXPECT_EQ(line.fires, 1) << "masked until somebody has looked";
  guest_.run([&] {
    EXPECT_TRUE(line.channel->unmask());
    EXPECT_FALSE(line.channel->unmask());
  });
  send(line);
  settle();
  EXPECT_EQ(line.fires, 2);
}

TEST_P(EventTest, ATriggerIsAsGoodAsAnEvent) {
  Line& line = open(last_cpu());
  settle();
  line.fires = 0;
  guest_.run([&] { line.channel->trigger(); });
  settle();
  EXPECT_EQ(line.fires, 1);
  EXPECT_EQ(line.cpu, last_cpu());
  guest_.run([&] {
    line.channel->mask();
    line.channel->trigger();
  });
  settle();
  EXPECT_EQ(line.fires, 1);
  guest_.run([&] { EXPECT_TRUE(line.channel->unmask()); }, last_cpu());
}

TEST_P(EventTest, EVTCHN_006_APeerThatAnnouncesNothingIsListenedToLessAndLess) {
  Line& line = open();
  settle();
  line.fires = 0;
  bool work = false;
  line.then = [&] {
    if (!work) line.channel->found_nothing();
  };
  unsigned passive_rounds = 0;
  constexpr int kStorm = 20000;
  for (int i = 0; i < kStorm; ++i) {
    send(line);
    host_.pass(100'000);
    if (i % 1000 == 0) {
      guest_.run([&] { ++passive_rounds; });
    }
  }
  EXPECT_LT(line.fires, 60) << "of " << kStorm;
  EXPECT_GT(line.fires, 16);
  EXPECT_EQ(passive_rounds, 20u);

  // What comes while it rests is told in the end, and work makes it lively again.
  work = true;
  host_.pass(2 * platform::kSecond);
  line.fires = 0;
  for (int i = 0; i < 100; ++i) {
    send(line);
    settle();
  }
  EXPECT_EQ(line.fires, 100);
}

TEST_P(EventTest, EVTCHN_006_AChannelAtRestCanBeClosed) {
  Line& line = open();
  line.then = [&] { line.channel->found_nothing(); };
  for (int i = 0; i < 40; ++i) {
    send(line);
    settle();
  }
  guest_.run([&] { line.channel.reset(); });
  host_.pass(2 * platform::kSecond);
}

TEST_P(EventTest, AVirtualInterruptComesToTheCpuItWasBoundTo) {
  if (const auto why = chosen_xen_lacks(sim::XenFeature::kUpcallVector)) GTEST_SKIP() << *why;
  Line line;
  line.platform = &guest_.platform();
  guest_.run([&] {
    xenbus::Events& events = guest_.services().events;
    line.channel = *events.open_virq(VIRQ_DEBUG, Delegate::to<&Line::fired>(line), 1);
    EXPECT_EQ(events.open_virq(VIRQ_DEBUG, {}, 1).status(), Status::kExists);
    EXPECT_EQ(events.open_virq(NR_VIRQS, {}, 0).status(), Status::kInvalidArgument);
    EXPECT_EQ(events.open_virq(VIRQ_DEBUG, {}, 2).status(), Status::kInvalidArgument);
  });
  settle();
  line.fires = 0;
  guest_.domain().events().raise_virq(VIRQ_DEBUG, 0);
  settle();
  EXPECT_EQ(line.fires, 0) << "each CPU has its own";
  guest_.domain().events().raise_virq(VIRQ_DEBUG, 1);
  settle();
  EXPECT_EQ(line.fires, 1);
  EXPECT_EQ(line.cpu, 1u);
  guest_.run([&] { line.channel.reset(); });
}

TEST_P(EventTest, EveryChannelGivenBackLeavesNothing) {
  for (int i = 0; i < 10; ++i) open(static_cast<unsigned>(i) % (last_cpu() + 1));
  guest_.run([this] {
    for (auto& line : lines_) line->channel.reset();
  });
  for (auto& line : lines_) (void)dom0().close(line->peer);
  EXPECT_EQ(guest_.shut_down(), std::vector<std::string>{});
}

}  // namespace
}  // namespace ringside::conformance
