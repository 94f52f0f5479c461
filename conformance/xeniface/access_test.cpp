#include "conformance/xeniface/iface_rig.hpp"

namespace ringside::conformance {
namespace {

/// Every code of the interface.
constexpr Ioctl kAll[] = {Ioctl::kStoreRead,
                          Ioctl::kStoreWrite,
                          Ioctl::kStoreDirectory,
                          Ioctl::kStoreRemove,
                          Ioctl::kStoreSetPermissions,
                          Ioctl::kStoreAddWatch,
                          Ioctl::kStoreRemoveWatch,
                          Ioctl::kEvtchnBindInterdomain,
                          Ioctl::kEvtchnBindUnbound,
                          Ioctl::kEvtchnClose,
                          Ioctl::kEvtchnNotify,
                          Ioctl::kEvtchnUnmask,
                          Ioctl::kGnttabPermit,
                          Ioctl::kGnttabRevoke,
                          Ioctl::kGnttabMap,
                          Ioctl::kGnttabUnmap,
                          Ioctl::kGnttabPermitV2,
                          Ioctl::kGnttabRevokeV2,
                          Ioctl::kGnttabMapV2,
                          Ioctl::kGnttabUnmapV2,
                          Ioctl::kSuspendGetCount,
                          Ioctl::kSuspendRegister,
                          Ioctl::kSuspendDeregister,
                          Ioctl::kSharedInfoGetTime,
                          Ioctl::kLog};

class IfaceAccessTest : public IfaceTest {};

TEST_F(IfaceAccessTest, IFACE_001_OnlyAdministratorsOpenTheDevice) {
  process_.administrator = false;
  guest_.run([&] {
    EXPECT_EQ(gateway_->open(process_).status(), Status::kAccessDenied);
    EXPECT_TRUE(gateway_->open(other_process_).ok());
  });
}

TEST_F(IfaceAccessTest, IFACE_001_TheDescriptorNamesSystemAndAdministratorsAndNobodyElse) {
  // Protected, so that nothing is inherited; each entry allows; of SIDs, only SY and BA.
  std::string_view rest = xeniface::kDeviceSecurity;
  ASSERT_TRUE(rest.starts_with("D:P"));
  rest.remove_prefix(3);
  std::vector<std::string> who;
  while (!rest.empty()) {
    ASSERT_TRUE(rest.starts_with("(A;;GA;;;"));
    const size_t end = rest.find(')');
    ASSERT_NE(end, std::string_view::npos);
    who.emplace_back(rest.substr(9, end - 9));
    rest.remove_prefix(end + 1);
  }
  EXPECT_EQ(who, (std::vector<std::string>{"SY", "BA"}));
  EXPECT_EQ(xeniface::kDeviceCharacteristics, 0x100u) << "names below the device are checked too";
}

TEST_F(IfaceAccessTest, IFACE_002_AHandleThatMayNotReadAndWriteIsGoodForNothing) {
  process_.read_and_write = false;
  for (const Ioctl code : kAll) {
    EXPECT_EQ(call(*one_, code, Input::text(std::string_view("name\0", 5)), 64).status,
              NtStatus::kAccessDenied);
  }
}

TEST_F(IfaceAccessTest, IFACE_004_CodesThatAreNotOfTheInterfaceAreRefused) {
  for (const Ioctl code : kAll) {
    const auto value = static_cast<uint32_t>(code);
    // Another method, an access of the code's own, another device type, another function.
    for (const uint32_t other : {value ^ 1u, value ^ 2u, value | 0x4000u, value | 0x8000u,
                                 value ^ 0x10000u, value + 0x400u}) {
      EXPECT_EQ(call(*one_, static_cast<Ioctl>(other), Input::text("name"), 64).status,
                NtStatus::kInvalidDeviceRequest)
          << std::hex << other;
    }
  }
}

TEST_F(IfaceAccessTest, IFACE_003_ABufferShorterThanItsLengthsIsNotTouched) {
  guest_.run([&] {
    std::vector<std::byte> buffer(4);
    for (const Ioctl code : kAll) {
      for (const uint32_t length : {5u, 4096u, ~0u}) {
        const auto in_only = one_->dispatch(
            {.code = static_cast<uint32_t>(code), .buffer = buffer, .input_length = length});
        EXPECT_EQ(in_only.status, NtStatus::kInvalidBufferSize);
        if (!xeniface::is_buffered(static_cast<uint32_t>(code))) continue;
        const auto out_only = one_->dispatch(
            {.code = static_cast<uint32_t>(code), .buffer = buffer, .output_length = length});
        EXPECT_EQ(out_only.status, NtStatus::kInvalidBufferSize);
      }
    }
  });
}

/// A code whose lengths are fixed, and them.
struct Lengths {
  Ioctl code;
  Width width;
  size_t input;
  size_t output;
};

TEST_F(IfaceAccessTest, IFACE_003_LengthsAreThoseOfTheStructuresAndNoOthers) {
  constexpr Lengths kLengths[] = {
      {Ioctl::kStoreAddWatch, Width::k64, 24, 8},
      {Ioctl::kStoreAddWatch, Width::k32, 12, 4},
      {Ioctl::kStoreRemoveWatch, Width::k64, 8, 0},
      {Ioctl::kStoreRemoveWatch, Width::k32, 4, 0},
      {Ioctl::kEvtchnBindInterdomain, Width::k64, 24, 4},
      {Ioctl::kEvtchnBindInterdomain, Width::k32, 16, 4},
      {Ioctl::kEvtchnBindUnbound, Width::k64, 16, 4},
      {Ioctl::kEvtchnBindUnbound, Width::k32, 8, 4},
      {Ioctl::kEvtchnClose, Width::k64, 4, 0},
      {Ioctl::kEvtchnNotify, Width::k64, 4, 0},
      {Ioctl::kEvtchnUnmask, Width::k64, 4, 0},
      {Ioctl::kGnttabRevoke, Width::k64, 4, 0},
      {Ioctl::kGnttabUnmap, Width::k64, 4, 0},
      {Ioctl::kGnttabUnmapV2, Width::k64, 8, 0},
      {Ioctl::kGnttabUnmapV2, Width::k32, 4, 0},
      {Ioctl::kSuspendRegister, Width::k64, 8, 8},
      {Ioctl::kSuspendRegister, Width::k32, 4, 4},
      {Ioctl::kSuspendDeregister, Width::k64, 8, 0},
      {Ioctl::kSuspendDeregister, Width::k32, 4, 0},
      {Ioctl::kGnttabRevokeV2, Width::k64, 8, 0},
      {Ioctl::kGnttabRevokeV2, Width::k32, 4, 0},
  };
  for (const Lengths& right : kLengths) {
    const bool revoke = right.code == Ioctl::kGnttabRevoke || right.code == Ioctl::kGnttabRevokeV2;
    for (size_t input = 0; input <= right.input + 9; ++input) {
      for (const size_t output : {size_t{0}, right.output, right.output + 1, size_t{64}}) {
        // As published, a revoke does not look at the length of an output that it does not have.
        const bool fits = input == right.input && (output == right.output || revoke);
        const Reply reply = call(*one_, right.code, Input().resize(input), output, right.width);
        EXPECT_EQ(reply.status == NtStatus::kInvalidBufferSize, !fits)
            << std::hex << static_cast<uint32_t>(right.code) << " " << input << " " << output;
        EXPECT_NE(reply.status, NtStatus::kSuccess) << "zeros name nothing";
      }
    }
  }
}

TEST_F(IfaceAccessTest, IFACE_005_A32BitCallerIsServedInItsOwnLayout) {
  const uint32_t event = process_.create_event();
  const auto watch = add_watch<uint32_t>(*one_, process_, "data", event).as<uint32_t>();
  settle();
  EXPECT_GT(process_.event(event).signals, 0);
  EXPECT_EQ(call(*one_, Ioctl::kStoreRemoveWatch, Input(watch), 0, Width::k32).status,
            NtStatus::kSuccess);

  const xeniface::EvtchnBindUnboundIn<uint32_t> bind{peer_.id(), 0, event};
  const auto port = call(*one_, Ioctl::kEvtchnBindUnbound, Input(bind), 4, Width::k32);
  EXPECT_GT(peer_.events().bind_interdomain(guest_.domid(), port.as<uint32_t>()), 0);

  Irp& irp = new_irp();
  const xeniface::GnttabPermitInV2<uint32_t> permit{peer_.id(), 0, 2, 0, 0, 0};
  ASSERT_EQ(pend(*one_, Ioctl::kGnttabPermitV2, irp, Input(permit), 4 + 2 * 4, Width::k32),
            NtStatus::kPending);
  const auto mapped = map(irp.at<uint32_t>(8));
  EXPECT_EQ(mapped.status, GNTST_okay);
  unmap(mapped);
  EXPECT_EQ(call(*one_, Ioctl::kGnttabRevokeV2, Input(irp.at<uint32_t>(0)), 0, Width::k32).status,
            NtStatus::kSuccess);
}

TEST_F(IfaceAccessTest, IFACE_043_ALogLineSaysWhoWroteIt) {
  EXPECT_EQ(
      call(*one_, Ioctl::kLog, Input::text(std::string_view("one\r\nerror: two\n\0", 17))).status,
      NtStatus::kSuccess);
  const auto log = guest_.guest().log();
  ASSERT_GE(log.size(), 2u);
  EXPECT_EQ(log[log.size() - 2], "info: user: one");
  EXPECT_EQ(log[log.size() - 1], "info: user: error: two");
}

TEST_F(IfaceAccessTest, IFACE_043_AMessageIsAtMost256PrintableBytesAndANul) {
  const std::string longest(xeniface::kMaxLogLength - 1, 'x');
  const size_t before = guest_.guest().log().size();
  const auto log = [&](const std::string& text, size_t output = 0) {
    return call(*one_, Ioctl::kLog, Input::text(text), output).status;
  };
  EXPECT_EQ(log(""), NtStatus::kInvalidBufferSize);
  EXPECT_EQ(log(longest + "x" + '\0'), NtStatus::kInvalidBufferSize);
  EXPECT_EQ(log(std::string("x") + '\0', 1), NtStatus::kInvalidBufferSize);
  EXPECT_EQ(log("no end"), NtStatus::kInvalidParameter);
  EXPECT_EQ(log(std::string("\x1b[2J") + '\0'), NtStatus::kInvalidParameter);
  EXPECT_EQ(log(std::string("\xff") + '\0'), NtStatus::kInvalidParameter);
  EXPECT_EQ(guest_.guest().log().size(), before);
  EXPECT_EQ(log(longest + '\0'), NtStatus::kSuccess);
  EXPECT_EQ(guest_.guest().log().back(), "info: user: " + longest);
}

}  // namespace
}  // namespace ringside::conformance
