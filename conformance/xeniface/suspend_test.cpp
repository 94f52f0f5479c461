#include "conformance/xeniface/iface_rig.hpp"

namespace ringside::conformance {
namespace {

class IfaceSuspendTest : public IfaceTest {
 protected:
  Reply add(uint64_t event) { return call(*one_, Ioctl::kSuspendRegister, Input(event), 8); }
  NtStatus remove(Handle& handle, uint64_t context) {
    return call(handle, Ioctl::kSuspendDeregister, Input(context)).status;
  }
  void resume() {
    guest_.run([&] { EXPECT_TRUE(suspend_.trigger().ok()); });
  }
};

TEST_F(IfaceSuspendTest, IFACE_042_TheCountIsXenbuss) {
  EXPECT_EQ(call(*one_, Ioctl::kSuspendGetCount, {}, 4).as<uint32_t>(), 0u);
  resume();
  EXPECT_EQ(call(*one_, Ioctl::kSuspendGetCount, {}, 4).as<uint32_t>(), 1u);
  for (const auto& [input, output] : {std::pair{0, 0}, {0, 3}, {0, 8}, {1, 4}}) {
    EXPECT_EQ(call(*one_, Ioctl::kSuspendGetCount, Input().resize(static_cast<size_t>(input)),
                   static_cast<size_t>(output))
                  .status,
              NtStatus::kInvalidBufferSize);
  }
}

TEST_F(IfaceSuspendTest, IFACE_042_TheEventIsSetAfterEachResumeUntilItIsTakenOut) {
  const uint32_t event = process_.create_event();
  const auto context = add(event).as<uint64_t>();
  EXPECT_EQ(process_.event(event).signals, 0);
  resume();
  resume();
  EXPECT_EQ(process_.event(event).signals, 2);
  EXPECT_EQ(remove(*two_, context), NtStatus::kNotFound) << "it is not that handle's";
  EXPECT_EQ(remove(*one_, context), NtStatus::kSuccess);
  EXPECT_EQ(remove(*one_, context), NtStatus::kNotFound);
  resume();
  EXPECT_EQ(process_.event(event).signals, 2);
  EXPECT_EQ(process_.event(event).references, 0);
}

TEST_F(IfaceSuspendTest, IFACE_042_AResumeIsToldInTheLatePhase) {
  add(process_.create_event());
  ASSERT_EQ(suspend_.callbacks.size(), 1u);
  EXPECT_EQ(suspend_.callbacks[0]->phase, xenbus::SuspendPhase::kLate);
}

TEST_F(IfaceSuspendTest, IFACE_042_ARegistrationThatFailsLeavesNothing) {
  const uint32_t event = process_.create_event();
  EXPECT_EQ(add(event + 4).status, NtStatus::kInvalidHandle);
  suspend_.add_answer = Status::kNoMemory;
  EXPECT_EQ(add(event).status, NtStatus::kNoMemory);
  suspend_.add_answer = Status::kOk;
  process_.meanwhile = [&] { one_->cleanup(); };
  EXPECT_EQ(add(event).status, NtStatus::kDeviceNotReady);
  EXPECT_TRUE(suspend_.callbacks.empty());
  EXPECT_EQ(process_.event(event).references, 0);
}

TEST_F(IfaceSuspendTest, IFACE_041_ACloseTakesItsRegistrationsOut) {
  const uint32_t event = process_.create_event();
  add(event);
  add(event);
  guest_.run([&] { one_->cleanup(); });
  EXPECT_TRUE(suspend_.callbacks.empty());
  EXPECT_EQ(process_.event(event).references, 0);
}

}  // namespace
}  // namespace ringside::conformance
