#include "conformance/xeniface/iface_rig.hpp"

namespace ringside::conformance {
namespace {

class IfaceEventsTest : public IfaceTest {};

TEST_F(IfaceEventsTest, IFACE_020_AnUnboundChannelIsForThePeerToBind) {
  const uint32_t event = process_.create_event();
  const auto [local, remote] = connect(*one_, event);
  const int before = process_.event(event).signals;
  EXPECT_EQ(peer_.events().send(remote), 0);
  settle();
  EXPECT_EQ(process_.event(event).signals, before + 1);
  EXPECT_EQ(peer_.events().send(remote), 0);
  settle();
  EXPECT_EQ(process_.event(event).signals, before + 2) << "without an unmask in between";
}

TEST_F(IfaceEventsTest, IFACE_020_AnInterdomainChannelBindsToThePeersPort) {
  const uint32_t event = process_.create_event();
  const int64_t remote = peer_.events().alloc_unbound(guest_.domid());
  ASSERT_GT(remote, 0);
  const xeniface::EvtchnBindInterdomainIn<uint64_t> in{peer_.id(), static_cast<uint32_t>(remote), 0,
                                                       event};
  const auto port = call(*one_, Ioctl::kEvtchnBindInterdomain, Input(in), 4).as<uint32_t>();
  settle();
  const int before = process_.event(event).signals;
  EXPECT_EQ(peer_.events().send(static_cast<sim::Port>(remote)), 0);
  settle();
  EXPECT_EQ(process_.event(event).signals, before + 1);
  EXPECT_EQ(on_port(*one_, Ioctl::kEvtchnClose, port), NtStatus::kSuccess);
}

TEST_F(IfaceEventsTest, IFACE_020_ABindThatXenRefusesLeavesNothing) {
  const uint32_t event = process_.create_event();
  for (const uint32_t port : {0u, 77u, 0xffffffffu}) {
    const xeniface::EvtchnBindInterdomainIn<uint64_t> in{peer_.id(), port, 0, event};
    const NtStatus status = call(*one_, Ioctl::kEvtchnBindInterdomain, Input(in), 4).status;
    EXPECT_GE(static_cast<uint32_t>(status), 0xc0000000u);
  }
  EXPECT_EQ(bind_unbound(*one_, event + 4).status, NtStatus::kInvalidHandle);
  EXPECT_EQ(process_.event(event).references, 0);
}

TEST_F(IfaceEventsTest, IFACE_021_WhatAMaskedChannelMissedIsToldAtUnmask) {
  const uint32_t event = process_.create_event();
  const auto [local, remote] = connect(*one_, event, true);
  EXPECT_EQ(peer_.events().send(remote), 0);
  settle();
  EXPECT_EQ(process_.event(event).signals, 0);
  EXPECT_EQ(on_port(*one_, Ioctl::kEvtchnUnmask, local), NtStatus::kSuccess);
  EXPECT_EQ(process_.event(event).signals, 1);
  EXPECT_EQ(on_port(*one_, Ioctl::kEvtchnUnmask, local), NtStatus::kSuccess);
  EXPECT_EQ(process_.event(event).signals, 1) << "and told once";
  EXPECT_EQ(peer_.events().send(remote), 0);
  settle();
  EXPECT_EQ(process_.event(event).signals, 2);
}

TEST_F(IfaceEventsTest, IFACE_022_ANotifyReachesThePeer) {
  const auto [local, remote] = connect(*one_, process_.create_event());
  peer_was_notified(remote);
  EXPECT_EQ(on_port(*one_, Ioctl::kEvtchnNotify, local), NtStatus::kSuccess);
  EXPECT_TRUE(peer_was_notified(remote));
}

TEST_F(IfaceEventsTest, IFACE_022_PortsThatTheHandleDidNotOpenAreUnknownToIt) {
  const auto [local, remote] = connect(*one_, process_.create_event());
  // The store's and console's ports are open in this domain too, and no business of a program's.
  for (uint32_t port = 0; port < 4096; ++port) {
    if (port == local) continue;
    ASSERT_EQ(on_port(*one_, Ioctl::kEvtchnNotify, port), NtStatus::kNotFound);
    ASSERT_EQ(on_port(*one_, Ioctl::kEvtchnClose, port), NtStatus::kNotFound);
    ASSERT_EQ(on_port(*one_, Ioctl::kEvtchnUnmask, port), NtStatus::kInvalidParameter);
    if (port == 64) port = 4000;
  }
  EXPECT_EQ(on_port(*one_, Ioctl::kEvtchnNotify, 0xffffffff), NtStatus::kNotFound);
}

TEST_F(IfaceEventsTest, IFACE_023_AfterCloseThePortIsXensAndTheEventTheCallersAlone) {
  const uint32_t event = process_.create_event();
  const auto [local, remote] = connect(*one_, event);
  EXPECT_TRUE(guest_.domain().events().open(local));
  EXPECT_EQ(process_.event(event).references, 1);
  EXPECT_EQ(on_port(*one_, Ioctl::kEvtchnClose, local), NtStatus::kSuccess);
  EXPECT_FALSE(guest_.domain().events().open(local));
  EXPECT_EQ(process_.event(event).references, 0);
  const int before = process_.event(event).signals;
  peer_.events().send(remote);
  settle();
  EXPECT_EQ(process_.event(event).signals, before);
  EXPECT_EQ(on_port(*one_, Ioctl::kEvtchnClose, local), NtStatus::kNotFound);
}

}  // namespace
}  // namespace ringside::conformance
