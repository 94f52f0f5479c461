#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "conformance/rig/migration.hpp"
#include "protocols/xenbus/interfaces/debug.hpp"
#include "protocols/xenbus/suspend_agent.hpp"

namespace ringside::conformance {
namespace {

/// A driver that tells about itself.
struct Teller {
  void tell() { debug->print(line); }
  xenbus::Debug* debug = nullptr;
  std::string line;
};

class DebugTest : public testing::Test {
 protected:
  void press_q() { guest_.domain().events().raise_virq(VIRQ_DEBUG, 0); }
  std::vector<std::string> host_log() {
    return host_.toolstack().platform_device(guest_.domid()).log();
  }

  Host host_;
  DriverGuest guest_{host_};
};

TEST_F(DebugTest, EveryoneTellsInOrderToBothLogs) {
  xenbus::Acquired<xenbus::Debug> debug;
  std::array<Teller, 2> tellers{Teller{.line = "XENVIF: one"}, Teller{.line = "XENVBD: two"}};
  std::array<Owned<xenbus::Callback>, 2> callbacks;
  guest_.run([&] {
    debug = *xenbus::acquire<xenbus::Debug>(guest_.bus().directory(), {1, 1}, "test");
    for (size_t i = 0; i < tellers.size(); ++i) {
      tellers[i].debug = debug.get();
      callbacks[i] = *debug->add("test", Delegate::to<&Teller::tell>(tellers[i]));
    }
    EXPECT_EQ(debug.outstanding(), 2u);
  });
  press_q();
  host_.require("the guest to tell", [&] { return host_log().size() == 3; });
  const auto lines = host_log();
  EXPECT_EQ(lines[0].substr(0, 22), "XENBUS: grant version ");
  EXPECT_EQ(lines[1], "XENVIF: one");
  EXPECT_EQ(lines[2], "XENVBD: two");
  const auto log = guest_.guest().log();
  EXPECT_NE(std::ranges::find(log, "info: XENVBD: two"), log.end());
  guest_.run([&] {
    callbacks[0] = {};
    debug->trigger();
  });
  ASSERT_EQ(host_log().size(), 5u);
  EXPECT_EQ(host_log()[4], "XENVBD: two");
  guest_.run([&] {
    callbacks = {};
    debug = {};
  });
}

TEST_F(DebugTest, TheInterruptIsBoundAgainAfterAResume) {
  platform::Box<xenbus::SuspendAgent> agent;
  guest_.run([&] { agent = *xenbus::SuspendAgent::create(guest_.services()); });
  suspend(guest_);
  restore(guest_, {}, [](uint16_t) {});
  EXPECT_TRUE(host_log().empty());
  press_q();
  host_.require("the guest to tell", [&] { return host_log().size() == 1; });
  EXPECT_NE(host_log()[0].find("resumed 1 times"), std::string::npos);
  guest_.run([&] { agent = {}; });
}

}  // namespace
}  // namespace ringside::conformance
