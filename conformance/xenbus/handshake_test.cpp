#include <gtest/gtest.h>

#include "conformance/xenbus/device_rig.hpp"

namespace ringside::conformance {
namespace {

class HandshakeTest : public DeviceTest {};

TEST_F(HandshakeTest, XENBUS_001_NoValueOfTheStateNodeHarmsTheFrontEnd) {
  start();
  for (const char* value : {"9", "99999999999999999999999", "-1", "", "abc", "0"}) {
    set_backend("state", value);
    settle();
    EXPECT_EQ(device_->backend_state(), State::kUnknown) << value;
  }
  EXPECT_EQ(own("state"), text(State::kInitialising));
  backend_is(State::kInitWait);
  expect_own_state(State::kConnected);
}

TEST_F(HandshakeTest, XENBUS_002_BothSidesBeginAtInitialising) {
  EXPECT_EQ(own("state"), text(State::kInitialising));
  EXPECT_EQ(host_.toolstack().read(paths_.backend + "/state"), text(State::kInitialising));
  start();
  settle();
  EXPECT_EQ(own("state"), text(State::kInitialising));
  EXPECT_TRUE(driver_.calls.empty());
}

TEST_F(HandshakeTest, XENBUS_003_FeaturesAreReadOnlyAfterInitWait) {
  start();
  settle();
  EXPECT_EQ(driver_.count("prepare"), 0);
  set_backend("feature-example", "7");
  settle();
  EXPECT_EQ(driver_.count("prepare"), 0);
  backend_is(State::kInitWait);
  expect_own_state(State::kConnected);
  EXPECT_EQ(driver_.seen_feature, 7u);
  EXPECT_EQ(driver_.seen_domain, 0);
  EXPECT_EQ(driver_.seen_backend, paths_.backend);
}

TEST_F(HandshakeTest, XENBUS_004_TransportKeysAreThereWhenTheStateSaysSo) {
  start(State::kInitialised);
  backend_is(State::kInitWait);
  host_.require("a published state", [&] { return own("state") != text(State::kInitialising); });
  EXPECT_EQ(own("state"), text(State::kInitialised));
  EXPECT_NE(own("ring-ref"), "");
  EXPECT_NE(own("event-channel"), "");
  backend_is(State::kConnected);
  expect_own_state(State::kConnected);
}

TEST_F(HandshakeTest, XENBUS_005_DevicePropertiesAreReadOnlyAfterConnected) {
  start(State::kInitialised);
  backend_is(State::kInitWait);
  expect_own_state(State::kInitialised);
  settle();
  EXPECT_EQ(driver_.count("connect"), 0);
  set_backend("sectors", "2048");
  backend_is(State::kConnected);
  expect_own_state(State::kConnected);
  EXPECT_EQ(driver_.seen_sectors, 2048u);
  EXPECT_TRUE(guest_.wait(device_->connected()));
}

TEST_F(HandshakeTest, XENBUS_006_ABackEndMaySkipInitWait) {
  start();
  backend_is(State::kInitialised);
  expect_own_state(State::kConnected);
  EXPECT_EQ(driver_.calls, (Calls{"prepare", "publish"}));
}

TEST_F(HandshakeTest, XENBUS_007_AConflictRepeatsTheWholeTransaction) {
  start();
  int conflicts = 3;
  driver_.on_publish = [&] {
    if (conflicts-- > 0) set_own("ring-ref", "conflict");
  };
  backend_is(State::kInitWait);
  expect_own_state(State::kConnected);
  EXPECT_EQ(driver_.count("prepare"), 1);
  EXPECT_EQ(driver_.count("publish"), 4);
  EXPECT_NE(own("ring-ref"), "conflict");
}

TEST_F(HandshakeTest, XENBUS_007_ConflictsWithoutEndCloseTheDevice) {
  start();
  driver_.on_publish = [&] { set_own("ring-ref", "conflict"); };
  backend_is(State::kInitWait);
  EXPECT_TRUE(guest_.wait(device_->closed()));
  EXPECT_EQ(own("error"), "Again");
  EXPECT_EQ(driver_.calls.back(), "release");
}

TEST_F(HandshakeTest, XENBUS_015_ReconfiguringAndReconfiguredAreTolerated) {
  connect();
  for (const State state : {State::kReconfiguring, State::kReconfigured, State::kConnected}) {
    backend_is(state);
    settle();
  }
  EXPECT_EQ(own("state"), text(State::kConnected));
  EXPECT_EQ(driver_.count("connect"), 1);
  EXPECT_EQ(driver_.count("stop"), 0);
}

TEST_F(HandshakeTest, XENBUS_016_TheSameStateAgainIsNoSecondConnection) {
  start();
  for (int i = 0; i < 3; ++i) {
    backend_is(State::kInitWait);
    settle();
  }
  for (int i = 0; i < 3; ++i) {
    backend_is(State::kConnected);
    settle();
  }
  EXPECT_EQ(driver_.count("prepare"), 1);
  EXPECT_EQ(driver_.count("publish"), 1);
  EXPECT_EQ(driver_.count("connect"), 1);
  EXPECT_GE(driver_.count("changed"), 2);
}

TEST_F(HandshakeTest, AChangeOfTheConnectedBackEndIsPassedOn) {
  connect();
  set_backend("sectors", "4096");
  host_.require("the new size", [&] { return driver_.seen_sectors == 4096; });
}

TEST_F(HandshakeTest, ADriverThatCannotPrepareClosesAndSaysWhy) {
  driver_.prepare_answer = Status::kNoResources;
  start();
  backend_is(State::kInitWait);
  EXPECT_TRUE(guest_.wait(device_->closed()));
  EXPECT_EQ(own("error"), "NoResources");
  EXPECT_EQ(own("state"), text(State::kClosed));
  EXPECT_EQ(driver_.calls, (Calls{"prepare", "stop", "release"}));
}

TEST_F(HandshakeTest, AViolationOfThePeerClosesAndSaysWhy) {
  connect();
  guest_.run([&] { device_->fail(Status::kPeerViolation); });
  leave();
  EXPECT_EQ(own("error"), "PeerViolation");
  backend_is(State::kInitWait);
  settle();
  EXPECT_EQ(own("state"), text(State::kClosed)) << "what broke the protocol is not tried again";
}

}  // namespace
}  // namespace ringside::conformance
