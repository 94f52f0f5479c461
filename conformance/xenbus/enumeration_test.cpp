#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/host.hpp"
#include "protocols/xenbus/enumerator.hpp"

namespace ringside::conformance {
namespace {

using xenbus::Enumerator;

/// What an enumerator says, as "+vif" and "-vif".
class Recorder final : public Enumerator::Client {
 public:
  Status arrived(std::string_view name) override {
    if (refusals > 0) {
      --refusals;
      return Status::kNoMemory;
    }
    events.push_back("+" + std::string(name));
    return Status::kOk;
  }
  void departed(std::string_view name) override { events.push_back("-" + std::string(name)); }

  std::vector<std::string> events;
  unsigned refusals = 0;
};

class EnumerationTest : public testing::Test {
 protected:
  using Events = std::vector<std::string>;

  ~EnumerationTest() override {
    stop();
    EXPECT_EQ(guest_.shut_down(), std::vector<std::string>{});
  }
  void follow(const Enumerator::Config& config) {
    guest_.run([&] { enumerator_ = *Enumerator::create(guest_.services(), config, recorder_); });
    settle();
  }
  void stop() {
    guest_.run([&] { enumerator_ = {}; });
  }
  void settle() { host_.pass(platform::kSecond); }
  void make(const std::string& path) {
    host_.toolstack().write("/local/domain/" + std::to_string(guest_.domid()) + "/" + path, "");
    settle();
  }
  void remove(const std::string& path) {
    host_.toolstack().remove("/local/domain/" + std::to_string(guest_.domid()) + "/" + path);
    settle();
  }

  Host host_;
  DriverGuest guest_{host_};
  Recorder recorder_;
  platform::Box<Enumerator> enumerator_;
};

TEST_F(EnumerationTest, ClassesArriveWithTheirFirstDevice) {
  follow({.directory = "device"});
  recorder_.events.clear();  // device/suspend is the toolstack's from the start
  const auto first = host_.toolstack().attach_vif(guest_.domid());
  settle();
  host_.toolstack().attach_vif(guest_.domid(), {.handle = 1});
  host_.toolstack().attach_vbd(guest_.domid());
  settle();
  EXPECT_EQ(recorder_.events, (Events{"+vif", "+vbd"}));
}

TEST_F(EnumerationTest, DevicesOfAClassComeAndGo) {
  const auto first = host_.toolstack().attach_vif(guest_.domid());
  follow({.directory = "device/vif"});
  EXPECT_EQ(recorder_.events, (Events{"+0"}));
  const auto second = host_.toolstack().attach_vif(guest_.domid(), {.handle = 7});
  settle();
  host_.toolstack().force_detach(first);
  settle();
  EXPECT_EQ(recorder_.events, (Events{"+0", "+7", "-0"}));
}

TEST_F(EnumerationTest, OnlySupportedClassesArriveAndSyntheticOnesAlways) {
  static constexpr std::array<std::string_view, 2> kSupported{"vif", "vbd"};
  static constexpr std::array<std::string_view, 2> kSynthetic{"iface", "cons"};
  follow({.directory = "device", .supported = kSupported, .synthetic = kSynthetic});
  EXPECT_EQ(recorder_.events, (Events{"+iface", "+cons"}));
  make("device/vkbd/0");
  make("device/vbd/51712");
  remove("device/vbd");
  EXPECT_EQ(recorder_.events, (Events{"+iface", "+cons", "+vbd", "-vbd"}));
}

TEST_F(EnumerationTest, ADirectoryThatIsNotThereYetIsWaitedFor) {
  follow({.directory = "device/vif"});
  EXPECT_TRUE(recorder_.events.empty());
  make("device/vif/3");
  EXPECT_EQ(recorder_.events, (Events{"+3"}));
}

TEST_F(EnumerationTest, ARefusedArrivalIsOfferedAgain) {
  recorder_.refusals = 3;
  host_.toolstack().attach_vif(guest_.domid());
  follow({.directory = "device/vif"});
  EXPECT_EQ(recorder_.events, (Events{"+0"}));
  EXPECT_EQ(recorder_.refusals, 0u);
}

TEST_F(EnumerationTest, AnAllocationThatFailsDelaysAnArrivalAndEndsNobody) {
  follow({.directory = "device/vif"});
  std::vector<std::string> wanted;
  for (unsigned n = 1; n <= 10; ++n) {
    guest_.guest().fail_allocation_at(n);
    host_.toolstack().attach_vif(guest_.domid(), {.handle = n});
    settle();
    wanted.push_back("+" + std::to_string(n));
    EXPECT_EQ(recorder_.events, wanted);
  }
  guest_.guest().fail_allocation_at(0);
}

TEST_F(EnumerationTest, ManyDevicesAtOnceAllArriveOnceAndAllDepart) {
  follow({.directory = "device/vif"});
  std::vector<std::string> wanted;
  std::vector<sim::DevicePaths> attached;
  for (unsigned i = 0; i < 300; ++i) {
    attached.push_back(host_.toolstack().attach_vif(guest_.domid(), {.handle = i}));
    wanted.push_back("+" + std::to_string(i));
  }
  host_.pass(10 * platform::kSecond);
  std::ranges::sort(recorder_.events);
  std::ranges::sort(wanted);
  EXPECT_EQ(recorder_.events, wanted);
  recorder_.events.clear();
  for (const auto& paths : attached) host_.toolstack().force_detach(paths);
  host_.pass(10 * platform::kSecond);
  EXPECT_EQ(recorder_.events.size(), 300u);
  EXPECT_TRUE(std::ranges::all_of(recorder_.events, [](const auto& e) { return e[0] == '-'; }));
}

}  // namespace
}  // namespace ringside::conformance
