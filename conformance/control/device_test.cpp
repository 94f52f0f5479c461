#include <gtest/gtest.h>

#include "conformance/rig/migration.hpp"
#include "conformance/xenbus/device_rig.hpp"
#include "protocols/xenbus/suspend_agent.hpp"

namespace ringside::conformance {
namespace {

/// One front end in each phase of its connection when the domain is suspended.
class SuspendedDeviceTest : public DeviceTest {
 protected:
  SuspendedDeviceTest() {
    guest_.run([this] { agent_ = *xenbus::SuspendAgent::create(guest_.services()); });
  }
  ~SuspendedDeviceTest() override {
    destroy();
    guest_.run([this] { [[maybe_unused]] const auto last = std::exchange(agent_, {}); });
  }

  /// The new back end is in a domain of its own.
  void migrate() {
    suspend(guest_);
    const uint16_t backend = host_.toolstack().create_domain({.name = "driver domain"}).id();
    restore(guest_, {paths_}, [&](uint16_t domid) {
      sim::VifConfig config;
      config.backend_domid = backend;
      paths_ = host_.toolstack().attach_vif(domid, config);
    });
    backend_ = backend;
    settle();
  }
  void connects_to_the_new_back_end() {
    expect_own_state(State::kInitialising);
    const long before = driver_.count("connect");
    backend_is(State::kInitWait);
    expect_own_state(State::kConnected);
    EXPECT_EQ(driver_.seen_backend, paths_.backend);
    EXPECT_EQ(driver_.seen_domain, backend_);
    EXPECT_NE(own("ring-ref"), "");
    backend_is(State::kConnected);
    host_.require("connected", [&] { return driver_.count("connect") == before + 1; });
    EXPECT_EQ(own("error"), "");
  }

  platform::Box<xenbus::SuspendAgent> agent_;
  uint16_t backend_ = 0;
};

TEST_F(SuspendedDeviceTest, CONTROL_006_AConnectedDeviceConnectsToItsNewBackEnd) {
  connect();
  migrate();
  EXPECT_EQ(driver_.steps(), (Calls{"prepare", "publish", "connect", "stop", "release"}));
  connects_to_the_new_back_end();
  migrate();
  connects_to_the_new_back_end();
}

TEST_F(SuspendedDeviceTest, CONTROL_006_ADeviceThatWaitsConnectsToItsNewBackEnd) {
  start();
  settle();
  migrate();
  connects_to_the_new_back_end();
}

TEST_F(SuspendedDeviceTest, CONTROL_006_APublishedDeviceConnectsToItsNewBackEnd) {
  start(State::kInitialised);
  backend_is(State::kInitWait);
  expect_own_state(State::kInitialised);
  migrate();
  EXPECT_FALSE(driver_.holds_grant());
  expect_own_state(State::kInitialising);
  backend_is(State::kInitWait);
  expect_own_state(State::kInitialised);
  EXPECT_EQ(driver_.seen_domain, backend_);
}

TEST_F(SuspendedDeviceTest, CONTROL_006_AClosingDeviceIsClosedByTheResume) {
  connect();
  close();
  expect_own_state(State::kClosing);
  migrate();
  EXPECT_TRUE(guest_.wait(device_->closed()));
  expect_own_state(State::kClosed);
  EXPECT_EQ(driver_.count("release"), 1);
  EXPECT_EQ(reopen(), Status::kOk);
  connects_to_the_new_back_end();
}

TEST_F(SuspendedDeviceTest, CONTROL_006_AClosedDeviceStaysClosed) {
  connect();
  close();
  leave();
  migrate();
  expect_own_state(State::kClosed);
  backend_is(State::kInitWait);
  settle();
  expect_own_state(State::kClosed);
  EXPECT_EQ(driver_.count("prepare"), 1);
}

TEST_F(SuspendedDeviceTest, CONTROL_003_ACancelledSuspendLeavesTheDeviceConnected) {
  connect();
  suspend(guest_);
  host_.toolstack().cancel_suspend(guest_.domid());
  settle();
  expect_own_state(State::kConnected);
  EXPECT_EQ(driver_.steps(), (Calls{"prepare", "publish", "connect"}));
}

}  // namespace
}  // namespace ringside::conformance
