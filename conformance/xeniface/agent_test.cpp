#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/forwarding_store.hpp"
#include "conformance/rig/host.hpp"
#include "conformance/rig/migration.hpp"
#include "protocols/xenbus/suspend_agent.hpp"
#include "protocols/xeniface/shutdown_agent.hpp"
#include "protocols/xeniface/system_report.hpp"

namespace ringside::conformance {
namespace {

using xeniface::PowerAction;

/// Writes down what it is told to begin.
struct RecordingActions final : xeniface::PowerActions {
  bool can(PowerAction action) const override { return !cannot.contains(action); }
  Status begin(PowerAction action) override {
    begun.push_back(action);
    if (on_begin) on_begin();
    return answer;
  }
  std::vector<PowerAction> begun;
  std::set<PowerAction> cannot;
  std::function<void()> on_begin;
  Status answer = Status::kOk;
};

/// A store that lets others in between two operations of a transaction.
class MeddledStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  Result<platform::Buffer> read(xenbus::Transaction transaction, std::string_view path) override {
    auto value = ForwardingStore::read(transaction, path);
    if (after_read) after_read();
    return value;
  }
  Status write(xenbus::Transaction transaction, std::string_view path,
               std::string_view value) override {
    const Status status = ForwardingStore::write(transaction, path, value);
    if (after_write) after_write(path);
    return status;
  }
  Status commit(xenbus::Transaction transaction) override {
    ++commits;
    return ForwardingStore::commit(transaction);
  }
  Result<Owned<xenbus::Watch>> watch(std::string_view path, Delegate changed) override {
    if (!ok(watch_answer)) return watch_answer;
    return ForwardingStore::watch(path, changed);
  }

  std::function<void()> after_read;
  std::function<void(std::string_view)> after_write;
  int commits = 0;
  Status watch_answer = Status::kOk;
};

class AgentTest : public testing::Test {
 protected:
  ~AgentTest() override {
    stop();
    EXPECT_EQ(guest_.shut_down(), std::vector<std::string>{});
  }
  void start() {
    guest_.run([&] { agent_ = *xeniface::ShutdownAgent::create(services(), actions_); });
  }
  void stop() {
    guest_.run([&] { [[maybe_unused]] const auto last = std::move(agent_); });
  }
  xenbus::Services services() {
    const xenbus::Services own = guest_.services();
    return {own.platform, own.grants, own.events, store_};
  }
  void ask(std::string_view command) {
    host_.toolstack().write(path("control/shutdown"), command);
    host_.pass(100 * platform::kMillisecond);
  }
  std::string path(std::string_view key) {
    return "/local/domain/" + std::to_string(guest_.domid()) + "/" + std::string(key);
  }
  std::string stored(std::string_view key) {
    return host_.toolstack().read(path(key)).value_or("(none)");
  }
  Status report(const xeniface::SystemReport& report, uint64_t sequence = 1) {
    Status status = Status::kOk;
    guest_.run([&] { status = xeniface::write_report(services(), report, sequence); });
    return status;
  }

  Host host_;
  DriverGuest guest_{host_};
  MeddledStore store_{guest_.services().store};
  RecordingActions actions_;
  platform::Box<xeniface::ShutdownAgent> agent_;
};

TEST_F(AgentTest, IFACE_060_ARequestIsAcknowledgedAndDone) {
  start();
  struct {
    const char* command;
    PowerAction action;
  } constexpr kCommands[] = {
      {"poweroff", PowerAction::kPowerOff}, {"halt", PowerAction::kPowerOff},
      {"reboot", PowerAction::kReboot},     {"s3", PowerAction::kSleep},
      {"s4", PowerAction::kHibernate},      {"hibernate", PowerAction::kHibernate}};
  for (const auto& [command, action] : kCommands) {
    actions_.begun.clear();
    std::string when_begun = "never";
    actions_.on_begin = [&] { when_begun = stored("control/shutdown"); };
    ask(command);
    EXPECT_EQ(actions_.begun, std::vector<PowerAction>{action}) << command;
    EXPECT_EQ(when_begun, "") << "acknowledged before anything happens";
    EXPECT_EQ(stored("control/shutdown"), "");
  }
}

TEST_F(AgentTest, CONTROL_007_ARequestThatFindsNoMemoryIsTakenLater) {
  start();
  for (uint64_t n = 1; n <= 20; ++n) {
    actions_.begun.clear();
    guest_.guest().fail_allocation_at(n);
    ask("reboot");
    host_.require("the reboot", [&] { return actions_.begun.size() == 1; });
    guest_.guest().fail_allocation_at(0);
  }
}

TEST_F(AgentTest, IFACE_061_WhatCanBeDoneIsSaidAgainOnTheNextHost) {
  platform::Box<xenbus::SuspendAgent> suspends;
  guest_.run([&] {
    agent_ = *xeniface::ShutdownAgent::create(guest_.services(), actions_);
    suspends = *xenbus::SuspendAgent::create(guest_.services());
  });
  EXPECT_EQ(stored("control/feature-reboot"), "1");
  suspend(guest_);
  restore(guest_, {}, [](uint16_t) {});
  EXPECT_EQ(stored("control/feature-reboot"), "1");
  ask("reboot");
  EXPECT_EQ(actions_.begun, std::vector<PowerAction>{PowerAction::kReboot});
  guest_.run([&] { suspends = {}; });
}

TEST_F(AgentTest, IFACE_060_ARequestWithdrawnMeanwhileIsNotDone) {
  start();
  store_.after_read = [&] {
    store_.after_read = {};
    host_.toolstack().write(path("control/shutdown"), "");
  };
  ask("poweroff");
  EXPECT_TRUE(actions_.begun.empty());
}

TEST_F(AgentTest, IFACE_060_ARequestReplacedMeanwhileIsTheOneDone) {
  start();
  store_.after_read = [&] {
    store_.after_read = {};
    host_.toolstack().write(path("control/shutdown"), "reboot");
  };
  ask("poweroff");
  EXPECT_EQ(actions_.begun, std::vector<PowerAction>{PowerAction::kReboot});
  EXPECT_EQ(stored("control/shutdown"), "");
}

TEST_F(AgentTest, IFACE_060_SuspendAndTheUnknownAreLeftToOthers) {
  start();
  for (const char* command : {"suspend", "crash", "poweroff ", "POWEROFF", "s5"}) {
    ask(command);
    EXPECT_EQ(stored("control/shutdown"), command);
  }
  EXPECT_TRUE(actions_.begun.empty());
}

TEST_F(AgentTest, IFACE_060_ARequestThatWasThereBeforeTheAgentIsServed) {
  ask("reboot");
  start();
  host_.pass(100 * platform::kMillisecond);
  EXPECT_EQ(actions_.begun, std::vector<PowerAction>{PowerAction::kReboot});
}

TEST_F(AgentTest, IFACE_061_WhatTheSystemCannotDoIsSaidAndNotAcknowledged) {
  host_.toolstack().store().mkdir(path("control/feature-s3"));
  host_.toolstack().store().set_permissions(path("control/feature-s3"),
                                            {"n" + std::to_string(guest_.domid())});
  actions_.cannot = {PowerAction::kSleep};
  start();
  EXPECT_EQ(stored("control/feature-poweroff"), "1");
  EXPECT_EQ(stored("control/feature-reboot"), "1");
  EXPECT_EQ(stored("control/feature-s3"), "0");
  ask("s3");
  EXPECT_EQ(stored("control/shutdown"), "s3");
  EXPECT_TRUE(actions_.begun.empty());
  actions_.cannot.clear();
  guest_.run([&] { agent_->advertise(); });
  EXPECT_EQ(stored("control/feature-s3"), "1");
}

TEST_F(AgentTest, IFACE_061_AnAgentThatLeavesPromisesNothing) {
  start();
  stop();
  EXPECT_EQ(stored("control/feature-poweroff"), "0");
  EXPECT_EQ(stored("control/feature-reboot"), "0");
  ask("poweroff");
  EXPECT_EQ(stored("control/shutdown"), "poweroff");
  EXPECT_TRUE(actions_.begun.empty());
}

TEST_F(AgentTest, IFACE_062_AnAgentThatCannotWatchPromisesNothing) {
  store_.watch_answer = Status::kNoResources;
  guest_.run([&] {
    EXPECT_EQ(xeniface::ShutdownAgent::create(services(), actions_).status(), Status::kNoResources);
  });
  EXPECT_EQ(stored("control/feature-poweroff"), "");
}

TEST_F(AgentTest, IFACE_063_ControlNodesThatAreMissingOrReadOnlyDoNoHarm) {
  host_.toolstack().remove(path("control"));
  start();
  host_.pass(100 * platform::kMillisecond);
  EXPECT_TRUE(actions_.begun.empty());
  ask("poweroff");
  // The node is the toolstack's alone: what can't be acknowledged is not done.
  EXPECT_EQ(stored("control/shutdown"), "poweroff");
  EXPECT_TRUE(actions_.begun.empty());
}

TEST_F(AgentTest, IFACE_063_AnActionThatDoesNotBeginIsLogged) {
  actions_.answer = Status::kIoError;
  start();
  ask("poweroff");
  EXPECT_EQ(guest_.guest().log().back(), "error: a requested shutdown did not begin");
}

constexpr xeniface::SystemReport kReport = {.os_name = "Windows Server 2025",
                                            .os_major = 10,
                                            .os_minor = 0,
                                            .os_build = 26100,
                                            .drivers = {9, 1, 2, 345}};

TEST_F(AgentTest, IFACE_070_TheReportIsWholeWhenItIsSaidToBeUpdated) {
  EXPECT_EQ(report(kReport, 7), Status::kOk);
  EXPECT_EQ(stored("data/os_name"), "Windows Server 2025");
  EXPECT_EQ(stored("data/os_distro"), "windows");
  EXPECT_EQ(stored("data/os_majorver"), "10");
  EXPECT_EQ(stored("data/os_minorver"), "0");
  EXPECT_EQ(stored("data/os_buildver"), "26100");
  EXPECT_EQ(stored("attr/PVAddons/Installed"), "1");
  EXPECT_EQ(stored("attr/PVAddons/MajorVersion"), "9");
  EXPECT_EQ(stored("attr/PVAddons/MinorVersion"), "1");
  EXPECT_EQ(stored("attr/PVAddons/MicroVersion"), "2");
  EXPECT_EQ(stored("attr/PVAddons/BuildVersion"), "345");
  EXPECT_EQ(stored("data/updated"), "7");
}

TEST_F(AgentTest, IFACE_070_NobodySeesHalfOfAReport) {
  store_.after_write = [&](std::string_view) {
    EXPECT_EQ(stored("data/os_name"), "(none)");
    EXPECT_EQ(stored("data/updated"), "(none)");
  };
  EXPECT_EQ(report(kReport), Status::kOk);
  EXPECT_EQ(stored("data/updated"), "1");
}

TEST_F(AgentTest, IFACE_070_AConflictRepeatsTheWholeReportAndEndsSomeTime) {
  int conflicts = 3;
  store_.after_write = [&](std::string_view key) {
    if (key == "data/os_name" && conflicts-- > 0) {
      host_.toolstack().write(path("data/os_name"), "somebody else's");
    }
  };
  EXPECT_EQ(report(kReport), Status::kOk);
  EXPECT_EQ(store_.commits, 4);
  EXPECT_EQ(stored("data/os_name"), "Windows Server 2025");
  conflicts = 1000;
  EXPECT_EQ(report(kReport, 2), Status::kAgain);
  EXPECT_EQ(stored("data/updated"), "1");
}

TEST_F(AgentTest, IFACE_071_ANodeThatIsNotTheGuestsIsLeftOut) {
  host_.toolstack().write(path("attr/PVAddons"), "");
  host_.toolstack().store().set_permissions(path("attr/PVAddons"),
                                            {"n0", "r" + std::to_string(guest_.domid())});
  EXPECT_EQ(report(kReport), Status::kOk);
  EXPECT_EQ(stored("attr/PVAddons/Installed"), "(none)");
  EXPECT_EQ(stored("data/os_name"), "Windows Server 2025");
  EXPECT_EQ(stored("data/updated"), "1");
}

TEST_F(AgentTest, IFACE_072_ANameOfAnyKindIsMadePrintableAndShort) {
  xeniface::SystemReport odd = kReport;
  odd.os_name = "Windows\xae\n\x01";
  EXPECT_EQ(report(odd), Status::kOk);
  EXPECT_EQ(stored("data/os_name"), "Windows???");
  const std::string endless(10000, 'x');
  odd.os_name = endless;
  EXPECT_EQ(report(odd), Status::kOk);
  EXPECT_EQ(stored("data/os_name"), std::string(128, 'x'));
}

}  // namespace
}  // namespace ringside::conformance
