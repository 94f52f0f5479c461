#include "conformance/xeniface/iface_rig.hpp"

namespace ringside::conformance {
namespace {

using xeniface::kUseNotifyOffset;
using xeniface::kUseNotifyPort;

/// Two handles that have everything open, and go for each other's.
class IfaceOwnershipTest : public IfaceTest {
 protected:
  struct Owned {
    uint64_t watch = 0;
    uint32_t event = 0;
    uint32_t port = 0;
    sim::Port remote = 0;
    Irp& v1;
    Irp& v2;
  };

  Owned nothing() { return {.v1 = new_irp(), .v2 = new_irp()}; }
  void open_everything(Handle& handle, Process& process, Owned& owned) {
    owned.event = process.create_event();
    owned.watch = add_watch(handle, process, "data/watched", owned.event).as<uint64_t>();
    std::tie(owned.port, owned.remote) = connect(handle, owned.event);
    const xeniface::GnttabPermitIn v1{5, peer_.id(), 1, 0, 0, 0};
    EXPECT_EQ(pend(handle, Ioctl::kGnttabPermit, owned.v1, Input(v1), permit_out(1)),
              NtStatus::kPending);
    auto v2 = permit_in(2);
    v2.flags = kUseNotifyOffset | kUseNotifyPort;
    v2.notify_port = owned.port;
    EXPECT_EQ(permit(handle, owned.v2, v2), NtStatus::kPending);
    settle();
    peer_was_notified(owned.remote);
  }
};

TEST_F(IfaceOwnershipTest, IFACE_040_AHandleCannotTouchWhatAnotherMade) {
  Owned mine = nothing();
  open_everything(*one_, process_, mine);
  EXPECT_EQ(remove_watch(*two_, mine.watch), NtStatus::kNotFound);
  EXPECT_EQ(on_port(*two_, Ioctl::kEvtchnNotify, mine.port), NtStatus::kNotFound);
  EXPECT_EQ(on_port(*two_, Ioctl::kEvtchnUnmask, mine.port), NtStatus::kInvalidParameter);
  EXPECT_EQ(on_port(*two_, Ioctl::kEvtchnClose, mine.port), NtStatus::kNotFound);
  EXPECT_EQ(revoke(*two_, address_of(mine.v2)), NtStatus::kNotFound);
  EXPECT_EQ(call(*two_, Ioctl::kGnttabRevoke, Input(uint32_t{5})).status, NtStatus::kNotFound);
  cancel(*two_, mine.v1);
  cancel(*two_, mine.v2);

  EXPECT_EQ(mine.v1.completions + mine.v2.completions, 0);
  EXPECT_FALSE(peer_was_notified(mine.remote));
  const int before = process_.event(mine.event).signals;
  store("data/watched", "1");
  settle();
  EXPECT_EQ(process_.event(mine.event).signals, before + 1);
  EXPECT_EQ(peer_.events().send(mine.remote), 0);
  settle();
  EXPECT_EQ(process_.event(mine.event).signals, before + 2);
}

TEST_F(IfaceOwnershipTest, IFACE_040_TheSameNumbersInTwoHandlesAreTwoThings) {
  Owned mine = nothing();
  Owned theirs = nothing();
  open_everything(*one_, process_, mine);
  open_everything(*two_, other_process_, theirs);
  EXPECT_EQ(call(*two_, Ioctl::kGnttabRevoke, Input(uint32_t{5})).status, NtStatus::kSuccess);
  EXPECT_EQ(theirs.v1.completions, 1);
  EXPECT_EQ(mine.v1.completions, 0);
  EXPECT_EQ(remove_watch(*two_, theirs.watch), NtStatus::kSuccess);
  const int before = process_.event(mine.event).signals;
  store("data/watched", "1");
  settle();
  EXPECT_EQ(process_.event(mine.event).signals, before + 1);
}

TEST_F(IfaceOwnershipTest, IFACE_041_ACloseEndsEverythingOfItsHandleAndNothingElse) {
  Owned mine = nothing();
  Owned theirs = nothing();
  open_everything(*one_, process_, mine);
  open_everything(*two_, other_process_, theirs);
  *process_.find(address_of(mine.v2)) = std::byte{1};
  const auto mapped = map(reference_of(mine.v2));

  guest_.run([&] { one_->cleanup(); });
  EXPECT_EQ(mine.v1.status, NtStatus::kCancelled);
  EXPECT_EQ(mine.v2.status, NtStatus::kCancelled);
  EXPECT_EQ(mine.v1.completions + mine.v2.completions, 2);
  EXPECT_EQ(process_.mapped_regions(), 0u);
  EXPECT_EQ(process_.event(mine.event).references, 0);
  EXPECT_FALSE(guest_.domain().events().open(mine.port));
  // The channel was still there when the grant ended.
  EXPECT_TRUE(peer_was_notified(mine.remote));
  EXPECT_EQ(peer_sees(mapped)[0], std::byte{0});
  unmap(mapped);

  EXPECT_EQ(theirs.v1.completions + theirs.v2.completions, 0);
  EXPECT_TRUE(guest_.domain().events().open(theirs.port));
  EXPECT_FALSE(peer_was_notified(theirs.remote));
  EXPECT_EQ(bind_unbound(*one_, mine.event).status, NtStatus::kDeviceNotReady);
  EXPECT_EQ(bind_unbound(*two_, theirs.event).status, NtStatus::kSuccess);
}

TEST_F(IfaceOwnershipTest, IFACE_041_ARequestUnderWayWhileTheHandleClosesLeavesNothing) {
  const uint32_t event = process_.create_event();
  process_.meanwhile = [&] { one_->cleanup(); };
  EXPECT_EQ(add_watch(*one_, process_, "data", event).status, NtStatus::kDeviceNotReady);
  guest_.run([&] { one_ = *gateway_->open(process_); });
  EXPECT_EQ(bind_unbound(*one_, event).status, NtStatus::kDeviceNotReady);
  EXPECT_EQ(process_.event(event).references, 0);

  process_.meanwhile = {};
  guest_.run([&] { one_ = *gateway_->open(process_); });
  Irp& irp = new_irp();
  irp.meanwhile = [&] { one_->cleanup(); };
  EXPECT_EQ(permit(*one_, irp, permit_in(2)), NtStatus::kDeviceNotReady);
  EXPECT_EQ(irp.completions, 0);
  EXPECT_EQ(process_.mapped_regions(), 0u);
  EXPECT_NE(map(reference_of(irp)).status, GNTST_okay);
}

TEST_F(IfaceOwnershipTest, IFACE_033_OfTwoRequestsSideBySideOneGetsTheId) {
  Irp& first = new_irp();
  Irp& second = new_irp();
  const xeniface::GnttabPermitIn in{5, peer_.id(), 1, 0, 0, 0};
  std::vector<std::byte> buffer = Input(in).bytes();
  Answer inner;
  first.meanwhile = [&] {
    inner = one_->dispatch({.code = static_cast<uint32_t>(Ioctl::kGnttabPermit),
                            .buffer = buffer,
                            .input_length = sizeof(in),
                            .output_length = permit_out(1),
                            .pending = &second});
  };
  EXPECT_EQ(pend(*one_, Ioctl::kGnttabPermit, first, Input(in), permit_out(1)),
            NtStatus::kInvalidParameter);
  EXPECT_EQ(inner.status, NtStatus::kPending);
  EXPECT_EQ(process_.mapped_regions(), 1u);
}

TEST_F(IfaceOwnershipTest, IFACE_041_ARevokeAndACloseAtOnceEndTheGrantOnce) {
  for (int round = 0; round < 8; ++round) {
    Irp& irp = new_irp();
    xeniface::Handle* handle = nullptr;
    ::ringside::Owned<Handle> own;
    guest_.run([&] { own = *gateway_->open(process_); });
    handle = own.get();
    ASSERT_EQ(permit(*handle, irp, permit_in(2)), NtStatus::kPending);
    const auto mapped = map(reference_of(irp));
    UserAddress address = address_of(irp);
    bool revoked = false;
    bool cleaned = false;
    Answer answer;
    guest_.guest().post(0, [&] {
      answer = handle->dispatch({.code = static_cast<uint32_t>(Ioctl::kGnttabRevokeV2),
                                 .buffer = std::as_writable_bytes(std::span(&address, 1)),
                                 .input_length = 8});
      revoked = true;
    });
    guest_.guest().post(1, [&] {
      handle->cleanup();
      cleaned = true;
    });
    host_.require("both done", [&] { return revoked && cleaned; });
    EXPECT_TRUE(answer.status == NtStatus::kDeviceBusy || answer.status == NtStatus::kNotFound ||
                answer.status == NtStatus::kDeviceNotReady);
    EXPECT_EQ(irp.completions, 1);
    EXPECT_EQ(irp.status, NtStatus::kCancelled);
    guest_.run([&] { own.reset(); });
    EXPECT_EQ(guest_.bus().grants().parked(), 1u);
    unmap(mapped);
  }
}

TEST_F(IfaceOwnershipTest, IFACE_041_APeerThatKeepsItsMapKeepsNobodyFromClosing) {
  Owned mine = nothing();
  open_everything(*one_, process_, mine);
  const auto mapped = map(reference_of(mine.v1));
  guest_.run([&] { one_.reset(); });
  EXPECT_EQ(mine.v1.status, NtStatus::kCancelled);
  EXPECT_EQ(process_.mapped_regions(), 0u);
  EXPECT_EQ(guest_.bus().grants().parked(), 1u);
  unmap(mapped);
}

}  // namespace
}  // namespace ringside::conformance
