#include <gtest/gtest.h>

#include "conformance/xenbus/device_rig.hpp"

namespace ringside::conformance {
namespace {

class ClosingTest : public DeviceTest {};

TEST_F(ClosingTest, XENBUS_008_ClosedFollowsTheBackEndsAnswer) {
  connect();
  close();
  expect_own_state(State::kClosing);
  settle();
  EXPECT_EQ(own("state"), text(State::kClosing)) << "the back end has not answered yet";
  backend_is(State::kClosing);
  expect_own_state(State::kClosed);
  backend_is(State::kClosed);
  EXPECT_TRUE(guest_.wait(device_->closed()));
}

TEST_F(ClosingTest, XENBUS_008_ABackEndMayGoStraightToClosed) {
  connect();
  backend_is(State::kClosed);
  expect_own_state(State::kClosed);
  EXPECT_TRUE(guest_.wait(device_->closed()));
}

TEST_F(ClosingTest, XENBUS_009_NothingIsRevokedBeforeTheBackEndIsClosed) {
  connect();
  backend_is(State::kClosing);
  expect_own_state(State::kClosed);
  settle();
  EXPECT_EQ(driver_.count("stop"), 1);
  EXPECT_EQ(driver_.count("release"), 0);
  EXPECT_TRUE(driver_.holds_grant());
  backend_is(State::kClosed);
  EXPECT_TRUE(guest_.wait(device_->closed()));
  EXPECT_EQ(driver_.count("release"), 1);
}

TEST_F(ClosingTest, XENBUS_010_OfflineMeansUnplugAndTheFrontEndStaysClosed) {
  connect();
  host_.toolstack().begin_detach(paths_);
  expect_own_state(State::kClosed);
  backend_is(State::kClosed);
  EXPECT_TRUE(guest_.wait(device_->closed()));
  backend_is(State::kInitWait);
  settle();
  EXPECT_EQ(own("state"), text(State::kClosed));
}

TEST_F(ClosingTest, XENBUS_010_AnOnlineBackEndIsMetAgain) {
  connect();
  backend_is(State::kClosing);
  expect_own_state(State::kClosed);
  backend_is(State::kClosed);
  EXPECT_TRUE(guest_.wait(device_->closed()));
  backend_is(State::kInitWait);
  expect_own_state(State::kConnected);
  EXPECT_EQ(driver_.count("prepare"), 2);
}

TEST_F(ClosingTest, XENBUS_011_AVanishedBackEndEndsTheConnectionAtOnce) {
  connect();
  host_.toolstack().remove(paths_.backend);
  EXPECT_TRUE(guest_.wait(device_->closed()));
  EXPECT_EQ(device_->backend_state(), State::kUnknown);
  EXPECT_EQ(own("state"), text(State::kClosed));
  EXPECT_EQ(driver_.count("stop"), 1);
  EXPECT_EQ(driver_.count("release"), 1);
}

TEST_F(ClosingTest, XENBUS_011_ARemovedDeviceIsNotBroughtBackByItsFrontEnd) {
  connect();
  host_.toolstack().force_detach(paths_);
  EXPECT_TRUE(guest_.wait(device_->closed()));
  destroy();
  settle();
  EXPECT_FALSE(host_.toolstack().store().exists(paths_.frontend));
  EXPECT_EQ(driver_.count("release"), 1);
}

TEST_F(ClosingTest, XENBUS_012_ReopenBeginsAgainAtInitialising) {
  connect();
  EXPECT_EQ(reopen(), Status::kBusy);
  close();
  leave();
  settle();
  EXPECT_EQ(own("state"), text(State::kClosed)) << "only reopen() brings back what was closed";
  EXPECT_EQ(reopen(), Status::kOk);
  expect_own_state(State::kInitialising);
  backend_is(State::kInitWait);
  expect_own_state(State::kConnected);
  backend_is(State::kConnected);
  EXPECT_TRUE(guest_.wait(device_->connected()));
  EXPECT_EQ(driver_.count("prepare"), 2);
}

TEST_F(ClosingTest, XENBUS_012_AConnectionLeftOpenByAnEarlierDriverIsEndedFirst) {
  set_own("state", text(State::kConnected));
  backend_is(State::kConnected);
  start();
  expect_own_state(State::kClosing);
  EXPECT_EQ(driver_.count("prepare"), 0);
  backend_is(State::kClosing);
  expect_own_state(State::kClosed);
  backend_is(State::kClosed);
  expect_own_state(State::kInitialising);
  backend_is(State::kInitWait);
  expect_own_state(State::kConnected);
}

TEST_F(ClosingTest, XENBUS_012_ANewBackEndInThePlaceOfTheOldOneIsMetAfresh) {
  connect();
  backend_is(State::kInitWait);
  expect_own_state(State::kClosing);
  backend_is(State::kClosing);
  expect_own_state(State::kClosed);
  backend_is(State::kClosed);
  expect_own_state(State::kInitialising);
  EXPECT_EQ(driver_.steps(), (Calls{"prepare", "publish", "connect", "stop", "release"}));
}

TEST_F(ClosingTest, XENBUS_013_BackEndAndItsDomainAreReadAgain) {
  connect();
  close();
  leave();
  sim::Domain& other = host_.machine().create_domain({.name = "driver domain"});
  const std::string moved = "/local/domain/" + std::to_string(other.id()) + "/backend/vif/1/0";
  host_.toolstack().write(moved + "/online", "1");
  host_.toolstack().write(moved + "/state", text(State::kInitialising));
  ASSERT_EQ(host_.toolstack().store().set_permissions(moved,
                                                      {"n0", "r" + std::to_string(guest_.domid())}),
            0);
  for (const char* key : {"/online", "/state"}) {
    ASSERT_EQ(host_.toolstack().store().set_permissions(
                  moved + key, {"n0", "r" + std::to_string(guest_.domid())}),
              0);
  }
  set_own("backend", moved);
  set_own("backend-id", std::to_string(other.id()));
  settle();
  EXPECT_EQ(reopen(), Status::kOk);
  host_.toolstack().write(moved + "/state", text(State::kInitWait));
  expect_own_state(State::kConnected);
  EXPECT_EQ(driver_.seen_backend, moved);
  EXPECT_EQ(driver_.seen_domain, other.id());
  destroy();
  host_.machine().destroy_domain(other.id());
}

TEST_F(ClosingTest, XENBUS_014_AnOfflineBackEndIsNotReopened) {
  connect();
  host_.toolstack().begin_detach(paths_);
  expect_own_state(State::kClosed);
  backend_is(State::kClosed);
  EXPECT_TRUE(guest_.wait(device_->closed()));
  EXPECT_EQ(reopen(), Status::kClosed);
  host_.toolstack().remove(paths_.backend);
  EXPECT_EQ(reopen(), Status::kClosed);
  settle();
  EXPECT_EQ(own("state"), text(State::kClosed));
}

TEST_F(ClosingTest, ADeviceDestroyedWhileConnectedGivesEverythingBack) {
  connect();
  destroy();
  EXPECT_EQ(driver_.steps(), (Calls{"prepare", "publish", "connect", "stop", "release"}));
  EXPECT_EQ(own("state"), text(State::kClosed));
  EXPECT_EQ(guest_.shut_down(), std::vector<std::string>{});
}

TEST_F(ClosingTest, AClosedDeviceLeavesNothingBehind) {
  connect();
  close();
  leave();
  destroy();
  EXPECT_EQ(guest_.shut_down(), std::vector<std::string>{});
}

}  // namespace
}  // namespace ringside::conformance
