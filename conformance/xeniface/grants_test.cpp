#include "conformance/xeniface/iface_rig.hpp"

namespace ringside::conformance {
namespace {

using platform::kPageSize;
using xeniface::kReadOnly;
using xeniface::kUseNotifyOffset;
using xeniface::kUseNotifyPort;

class IfaceGrantsTest : public IfaceTest {
 protected:
  UserAddress allocate(unsigned count, bool writable = true) {
    UserAddress at = 0;
    guest_.run([&] { at = process_.allocate(count, writable); });
    return at;
  }
  NtStatus permit_v1(Irp& irp, uint32_t id, uint32_t pages = 1) {
    const xeniface::GnttabPermitIn in{id, peer_.id(), pages, 0, 0, 0};
    return pend(*one_, Ioctl::kGnttabPermit, irp, Input(in), permit_out(pages));
  }
  NtStatus revoke_v1(uint32_t id) { return call(*one_, Ioctl::kGnttabRevoke, Input(id)).status; }
};

TEST_F(IfaceGrantsTest, IFACE_036_TheAnswerIsThereWhileTheRequestIsPending) {
  Irp& irp = new_irp();
  ASSERT_EQ(permit(*one_, irp, permit_in(3)), NtStatus::kPending);
  EXPECT_EQ(irp.deliveries, 1);
  EXPECT_EQ(irp.completions, 0);
  for (size_t page = 0; page < 3; ++page) {
    std::byte* const mine = process_.find(address_of(irp) + page * kPageSize);
    ASSERT_NE(mine, nullptr);
    EXPECT_EQ(std::count(mine, mine + kPageSize, std::byte{0}), ptrdiff_t{kPageSize});
    mine[5] = static_cast<std::byte>(page + 1);
    const auto mapped = map(reference_of(irp, page));
    ASSERT_EQ(mapped.status, GNTST_okay);
    EXPECT_EQ(peer_sees(mapped)[5], static_cast<std::byte>(page + 1));
    unmap(mapped);
  }
  EXPECT_EQ(revoke(*one_, address_of(irp)), NtStatus::kSuccess);
  EXPECT_EQ(irp.completions, 1);
  EXPECT_EQ(irp.status, NtStatus::kSuccess);
  EXPECT_NE(map(reference_of(irp)).status, GNTST_okay);
  EXPECT_EQ(process_.find(address_of(irp)), nullptr);
  EXPECT_EQ(revoke(*one_, address_of(irp)), NtStatus::kNotFound);
}

TEST_F(IfaceGrantsTest, IFACE_036_VersionOneGoesByItsRequestId) {
  Irp& irp = new_irp();
  ASSERT_EQ(permit_v1(irp, 0), NtStatus::kPending);
  EXPECT_EQ(map(reference_of(irp), true).status, GNTST_okay);
  peer_.grants().unmap_all();
  EXPECT_EQ(revoke_v1(1), NtStatus::kNotFound);
  EXPECT_EQ(revoke_v1(0), NtStatus::kSuccess);
  EXPECT_EQ(irp.status, NtStatus::kSuccess);

  Irp& second = new_irp();
  ASSERT_EQ(permit(*one_, second, permit_in(1)), NtStatus::kPending);
  EXPECT_EQ(revoke_v1(0), NtStatus::kNotFound) << "version 2 has no ids, not id 0";
}

TEST_F(IfaceGrantsTest, IFACE_036_AReadOnlyGrantIsReadOnlyForThePeerAlone) {
  Irp& irp = new_irp();
  auto in = permit_in(1);
  in.flags = kReadOnly;
  ASSERT_EQ(permit(*one_, irp, in), NtStatus::kPending);
  EXPECT_NE(map(reference_of(irp), false).status, GNTST_okay);
  const auto mapped = map(reference_of(irp), true);
  EXPECT_EQ(mapped.status, GNTST_okay);
  unmap(mapped);
}

TEST_F(IfaceGrantsTest, IFACE_036_ACancelledRequestEndsItsGrantOnce) {
  Irp& irp = new_irp();
  ASSERT_EQ(permit(*one_, irp, permit_in(2)), NtStatus::kPending);
  cancel(*one_, irp);
  EXPECT_EQ(irp.completions, 1);
  EXPECT_EQ(irp.status, NtStatus::kCancelled);
  EXPECT_NE(map(reference_of(irp)).status, GNTST_okay);
  cancel(*one_, irp);
  EXPECT_EQ(irp.completions, 1);
  EXPECT_EQ(revoke(*one_, address_of(irp)), NtStatus::kNotFound);
}

TEST_F(IfaceGrantsTest, IFACE_036_AnAnswerThatCannotBeDeliveredGrantsNothing) {
  Irp& irp = new_irp();
  irp.fail_delivery = true;
  EXPECT_EQ(permit(*one_, irp, permit_in(2)), NtStatus::kAccessViolation);
  EXPECT_EQ(irp.completions, 0);
  EXPECT_EQ(process_.mapped_regions(), 0u);
}

TEST_F(IfaceGrantsTest, IFACE_030_CountsOffsetsAndAddressesAreCheckedWithoutOverflow) {
  const UserAddress own = allocate(1);
  struct Bad {
    UserAddress address;
    uint32_t pages;
    uint32_t flags;
    uint32_t offset;
  };
  const Bad kBad[] = {
      {0, 0, 0, 0},
      {0, 1024 * 1024 + 1, 0, 0},
      {0, 0x80000001, 0, 0},
      {0, 0xffffffff, 0, 0},
      {0, 1, 8, 0},
      {0, 1, 0x80000000, 0},
      {0, 1, kUseNotifyOffset, kPageSize},
      {0, 2, kUseNotifyOffset, 2 * kPageSize},
      {0, 1, kUseNotifyOffset, 0xffffffff},
      {own + 1, 1, 0, 0},
      {~UserAddress{0} - kPageSize + 1, 2, 0, 0},
      {~UserAddress{0} << 12, 1024 * 1024, 0, 0},
  };
  for (const Bad& bad : kBad) {
    Irp& irp = new_irp();
    auto in = permit_in(bad.pages, bad.address);
    in.flags = bad.flags;
    in.notify_offset = bad.offset;
    // Whatever length of output goes with it, the truncated sum of one included.
    for (const size_t output : {permit_out(bad.pages), size_t{8}, size_t{12}}) {
      EXPECT_EQ(pend(*one_, Ioctl::kGnttabPermitV2, irp, Input(in), output),
                NtStatus::kInvalidParameter)
          << bad.address << " " << bad.pages;
    }
    EXPECT_EQ(irp.deliveries, 0);
  }
}

TEST_F(IfaceGrantsTest, IFACE_030_A32BitRegionEndsWithItsAddressSpace) {
  Irp& irp = new_irp();
  const xeniface::GnttabPermitInV2<uint32_t> in{peer_.id(), 0xfffff000, 2, 0, 0, 0};
  EXPECT_EQ(pend(*one_, Ioctl::kGnttabPermitV2, irp, Input(in), 12, Width::k32),
            NtStatus::kInvalidParameter);
}

TEST_F(IfaceGrantsTest, IFACE_030_MorePagesThanReferencesCostNoMemory) {
  Irp& irp = new_irp();
  const uint64_t before = guest_.guest().allocations();
  EXPECT_EQ(permit(*one_, irp, permit_in(1024 * 1024)), NtStatus::kInsufficientResources);
  EXPECT_LT(guest_.guest().allocations(), before + 10);
}

TEST_F(IfaceGrantsTest, IFACE_003_ThePermitsLengthsAreExact) {
  Irp& irp = new_irp();
  for (const size_t output :
       {size_t{0}, size_t{8}, size_t{12}, size_t{15}, size_t{17}, size_t{20}}) {
    EXPECT_EQ(pend(*one_, Ioctl::kGnttabPermitV2, irp, Input(permit_in(2)), output),
              NtStatus::kInvalidBufferSize);
  }
  for (const size_t input : {size_t{0}, size_t{24}, size_t{31}, size_t{33}}) {
    EXPECT_EQ(pend(*one_, Ioctl::kGnttabPermitV2, irp, Input(permit_in(2)).resize(input), 16),
              NtStatus::kInvalidBufferSize);
  }
  const xeniface::GnttabPermitIn v1{1, peer_.id(), 2, 0, 0, 0};
  for (const size_t input : {size_t{0}, size_t{23}, size_t{25}, size_t{32}}) {
    EXPECT_EQ(pend(*one_, Ioctl::kGnttabPermit, irp, Input(v1).resize(input), 16),
              NtStatus::kInvalidBufferSize);
  }
  EXPECT_EQ(call(*one_, Ioctl::kGnttabPermitV2, Input(permit_in(2)), 16).status,
            NtStatus::kInvalidParameter)
      << "a request that cannot stay pending";
  EXPECT_EQ(irp.deliveries, 0);
}

TEST_F(IfaceGrantsTest, IFACE_031_AGrantThatThePeerMapsIsNotSaidToHaveEnded) {
  Irp& irp = new_irp();
  ASSERT_EQ(permit(*one_, irp, permit_in(2)), NtStatus::kPending);
  const auto mapped = map(reference_of(irp, 1));
  EXPECT_EQ(revoke(*one_, address_of(irp)), NtStatus::kDeviceBusy);
  EXPECT_EQ(irp.completions, 0);
  EXPECT_NE(process_.find(address_of(irp)), nullptr) << "the pages are the caller's to share";
  EXPECT_NE(map(reference_of(irp, 0)).status, GNTST_okay) << "what could end has ended";
  EXPECT_EQ(revoke(*one_, address_of(irp)), NtStatus::kDeviceBusy);
  unmap(mapped);
  EXPECT_EQ(revoke(*one_, address_of(irp)), NtStatus::kSuccess);
  EXPECT_EQ(irp.status, NtStatus::kSuccess);
  EXPECT_EQ(irp.completions, 1);
}

TEST_F(IfaceGrantsTest, IFACE_032_APageLeftBehindStaysOutOfUseWhileThePeerMapsIt) {
  Irp& irp = new_irp();
  ASSERT_EQ(permit(*one_, irp, permit_in(2)), NtStatus::kPending);
  const auto mapped = map(reference_of(irp, 0));
  cancel(*one_, irp);
  EXPECT_EQ(irp.status, NtStatus::kCancelled);
  EXPECT_EQ(process_.find(address_of(irp)), nullptr) << "the caller has lost sight of it";
  EXPECT_EQ(guest_.bus().grants().parked(), 1u);
  // Whatever is allocated from now on, it is not that page.
  std::byte* const still = peer_sees(mapped);
  still[0] = std::byte{0x77};
  Irp& next = new_irp();
  ASSERT_EQ(permit(*one_, next, permit_in(64)), NtStatus::kPending);
  for (size_t page = 0; page < 64; ++page) {
    EXPECT_EQ(*process_.find(address_of(next) + page * kPageSize), std::byte{0});
  }
  EXPECT_EQ(still[0], std::byte{0x77});
  unmap(mapped);
}

TEST_F(IfaceGrantsTest, IFACE_033_AnIdOrAnAddressNamesOneRegion) {
  Irp& first = new_irp();
  Irp& second = new_irp();
  ASSERT_EQ(permit_v1(first, 7), NtStatus::kPending);
  EXPECT_EQ(permit_v1(second, 7), NtStatus::kInvalidParameter);
  const UserAddress own = allocate(1);
  Irp& third = new_irp();
  Irp& fourth = new_irp();
  ASSERT_EQ(permit(*one_, third, permit_in(1, own)), NtStatus::kPending);
  EXPECT_EQ(permit(*one_, fourth, permit_in(1, own)), NtStatus::kInvalidParameter);
  EXPECT_EQ(process_.pins(), 1u);
  EXPECT_EQ(revoke_v1(7), NtStatus::kSuccess);
  EXPECT_EQ(permit_v1(second, 7), NtStatus::kPending);
}

TEST_F(IfaceGrantsTest, IFACE_033_PagesThatTheDriverLentAreNotTheCallersToShareAgain) {
  Irp& irp = new_irp();
  ASSERT_EQ(permit(*one_, irp, permit_in(3)), NtStatus::kPending);
  const UserAddress lent = address_of(irp);
  Irp& again = new_irp();
  for (const auto& [address, pages] : {std::pair{lent, 1u},
                                       {lent + kPageSize, 1u},
                                       {lent + 2 * kPageSize, 4u},
                                       {lent - kPageSize, 2u},
                                       {lent - kPageSize, 1024u * 1024u}}) {
    const NtStatus status = permit(*one_, again, permit_in(pages, address));
    EXPECT_EQ(status, NtStatus::kInvalidParameter) << address - lent << " " << pages;
  }
  const UserAddress own = allocate(1);
  EXPECT_EQ(permit(*one_, again, permit_in(1, own)), NtStatus::kPending);
}

TEST_F(IfaceGrantsTest, IFACE_034_TheNotifyPortIsAChannelOfTheSameHandle) {
  const auto [foreign, remote] = connect(*two_, other_process_.create_event());
  Irp& irp = new_irp();
  auto in = permit_in(1);
  in.flags = kUseNotifyPort;
  for (const uint32_t port : {foreign, 0u, 1u, 0xffffffffu}) {
    in.notify_port = port;
    EXPECT_EQ(permit(*one_, irp, in), NtStatus::kInvalidParameter);
  }
  peer_was_notified(remote);
  in.flags = 0;
  in.notify_port = foreign;
  ASSERT_EQ(permit(*one_, irp, in), NtStatus::kPending);
  EXPECT_EQ(revoke(*one_, address_of(irp)), NtStatus::kSuccess);
  EXPECT_FALSE(peer_was_notified(remote)) << "without the flag the member means nothing";
}

TEST_F(IfaceGrantsTest, IFACE_035_ThePeerIsToldOnceWhenARevokeBegins) {
  const auto [local, remote] = connect(*one_, process_.create_event());
  Irp& irp = new_irp();
  auto in = permit_in(2);
  in.flags = kUseNotifyOffset | kUseNotifyPort;
  in.notify_offset = kPageSize + 17;
  in.notify_port = local;
  ASSERT_EQ(permit(*one_, irp, in), NtStatus::kPending);
  const auto mapped = map(reference_of(irp, 1));
  std::byte* const seen = peer_sees(mapped) + 17;
  *seen = std::byte{1};
  peer_was_notified(remote);
  EXPECT_EQ(revoke(*one_, address_of(irp)), NtStatus::kDeviceBusy);
  EXPECT_EQ(*seen, std::byte{0});
  EXPECT_TRUE(peer_was_notified(remote));
  *seen = std::byte{2};
  EXPECT_EQ(revoke(*one_, address_of(irp)), NtStatus::kDeviceBusy);
  EXPECT_EQ(*seen, std::byte{2});
  EXPECT_FALSE(peer_was_notified(remote));
  unmap(mapped);
  EXPECT_EQ(revoke(*one_, address_of(irp)), NtStatus::kSuccess);
}

TEST_F(IfaceGrantsTest, IFACE_035_AChannelThatIsClosedByThenIsNotNotified) {
  const auto [local, remote] = connect(*one_, process_.create_event());
  Irp& irp = new_irp();
  auto in = permit_in(1);
  in.flags = kUseNotifyPort;
  in.notify_port = local;
  ASSERT_EQ(permit(*one_, irp, in), NtStatus::kPending);
  EXPECT_EQ(on_port(*one_, Ioctl::kEvtchnClose, local), NtStatus::kSuccess);
  // Somebody else's next channel has the number.
  const auto [other, other_remote] = connect(*two_, other_process_.create_event());
  EXPECT_EQ(other, local);
  peer_was_notified(other_remote);
  EXPECT_EQ(revoke(*one_, address_of(irp)), NtStatus::kSuccess);
  EXPECT_FALSE(peer_was_notified(other_remote));
}

TEST_F(IfaceGrantsTest, IFACE_035_NoByteIsWrittenWhereTheCallerMayNotWrite) {
  const UserAddress own = allocate(1, false);
  Irp& irp = new_irp();
  auto in = permit_in(1, own);
  EXPECT_EQ(permit(*one_, irp, in), NtStatus::kAccessViolation);
  in.flags = kReadOnly | kUseNotifyOffset;
  EXPECT_EQ(permit(*one_, irp, in), NtStatus::kAccessViolation);
  in.flags = kReadOnly;
  EXPECT_EQ(permit(*one_, irp, in), NtStatus::kPending);
}

TEST_F(IfaceGrantsTest, IFACE_037_WithoutMemoryARequestFailsAndLeavesNothing) {
  const uint32_t event = process_.create_event();
  UserAddress path = 0;
  guest_.run([&] { path = process_.place(std::string_view("data\0", 5)); });
  const xeniface::StoreAddWatchIn<uint64_t> watch{path, 5, event};
  const xeniface::EvtchnBindUnboundIn<uint64_t> bind{peer_.id(), 0, event};
  Input permissions(xeniface::StoreSetPermissionsIn<uint64_t>{path, 5, 1});
  permissions.append(xeniface::StorePermission{guest_.domid(), 0});
  const Input text = Input::text(std::string_view("data\0", 5));
  struct {
    Ioctl code;
    Input input;
    size_t output;
  } const kRequests[] = {{Ioctl::kStoreAddWatch, Input(watch), 8},
                         {Ioctl::kEvtchnBindUnbound, Input(bind), 4},
                         {Ioctl::kStoreSetPermissions, permissions, 0},
                         {Ioctl::kStoreRead, text, 64},
                         {Ioctl::kStoreDirectory, text, 64}};
  for (const auto& request : kRequests) {
    for (uint64_t n = 1;; ++n) {
      ASSERT_LT(n, 100u);
      const int references = process_.event(event).references;
      guest_.guest().fail_allocation_at(n);
      const NtStatus status = call(*one_, request.code, request.input, request.output).status;
      guest_.guest().fail_allocation_at(0);
      if (status == NtStatus::kSuccess) {
        EXPECT_GT(n, 1u) << "none of it was tried";
        break;
      }
      EXPECT_EQ(status, NtStatus::kNoMemory) << static_cast<uint32_t>(request.code) << " " << n;
      EXPECT_EQ(process_.event(event).references, references);
    }
  }
}

TEST_F(IfaceGrantsTest, IFACE_037_AFailureAnywhereLeavesNothingGranted) {
  const UserAddress own = allocate(3);
  for (const UserAddress address : {UserAddress{0}, own}) {
    uint64_t n = 1;
    for (;; ++n) {
      ASSERT_LT(n, 100u);
      Irp& irp = new_irp();
      guest_.guest().fail_allocation_at(n);
      const NtStatus status = permit(*one_, irp, permit_in(3, address));
      guest_.guest().fail_allocation_at(0);
      if (status == NtStatus::kPending) {
        EXPECT_EQ(revoke(*one_, address_of(irp)), NtStatus::kSuccess);
        break;
      }
      EXPECT_EQ(status, NtStatus::kNoMemory);
      EXPECT_EQ(irp.completions, 0);
      EXPECT_EQ(process_.mapped_regions(), 0u);
      EXPECT_EQ(process_.pins(), 0u);
    }
    EXPECT_GT(n, 4u);
  }
  process_.fail_mapping = true;
  Irp& irp = new_irp();
  EXPECT_EQ(permit(*one_, irp, permit_in(3)), NtStatus::kNoMemory);
}

TEST_F(IfaceGrantsTest, IFACE_038_TheCallersOwnPagesArePinnedUntilThePeerLetsGo) {
  const UserAddress own = allocate(2);
  *process_.find(own) = std::byte{0x42};
  Irp& irp = new_irp();
  ASSERT_EQ(permit(*one_, irp, permit_in(2, own)), NtStatus::kPending);
  EXPECT_EQ(address_of(irp), own);
  EXPECT_EQ(process_.pins(), 2u);
  const auto mapped = map(reference_of(irp, 0));
  EXPECT_EQ(peer_sees(mapped)[0], std::byte{0x42});
  EXPECT_EQ(revoke(*one_, own), NtStatus::kDeviceBusy);
  EXPECT_EQ(process_.pins(), 2u);
  unmap(mapped);
  EXPECT_EQ(revoke(*one_, own), NtStatus::kSuccess);
  EXPECT_EQ(process_.pins(), 0u);
}

TEST_F(IfaceGrantsTest, IFACE_038_PinnedPagesOutliveTheProcessWhileThePeerMapsThem) {
  const UserAddress own = allocate(2);
  Irp& irp = new_irp();
  ASSERT_EQ(permit(*one_, irp, permit_in(2, own)), NtStatus::kPending);
  const auto mapped = map(reference_of(irp, 0));
  guest_.run([&] {
    one_.reset();
    process_.exit();
  });
  EXPECT_EQ(irp.status, NtStatus::kCancelled);
  EXPECT_EQ(process_.pins(), 2u);
  EXPECT_EQ(gateway_->parked(), 1u);
  host_.pass(3 * platform::kSecond);
  EXPECT_EQ(process_.pins(), 2u);
  peer_sees(mapped)[9] = std::byte{1};
  unmap(mapped);
  host_.require("unpinned", [&] { return process_.pins() == 0; });
  EXPECT_EQ(gateway_->parked(), 0u);
}

TEST_F(IfaceGrantsTest, IFACE_038_PagesThatAPeerNeverLetsGoOfAreLostNotReused) {
  const UserAddress own = allocate(1);
  Irp& irp = new_irp();
  ASSERT_EQ(permit(*one_, irp, permit_in(1, own)), NtStatus::kPending);
  const auto mapped = map(reference_of(irp, 0));
  take_down();
  guest_.run([&] { process_.exit(); });
  EXPECT_EQ(process_.pins(), 1u);
  peer_sees(mapped)[0] = std::byte{1};
  EXPECT_NE(guest_.shut_down(), std::vector<std::string>{});
  unmap(mapped);
}

TEST_F(IfaceGrantsTest, IFACE_039_WhatIsNotThereIsRefusedCleanly) {
  platform::Box<xeniface::Gateway> poor;
  ::ringside::Owned<Handle> handle;
  guest_.run([&] {
    poor = *xeniface::Gateway::create(
        {.services = guest_.services(), .foreign = nullptr, .suspend = nullptr});
    handle = *poor->open(process_);
  });
  for (const Ioctl code : {Ioctl::kGnttabMap, Ioctl::kGnttabMapV2, Ioctl::kGnttabUnmap,
                           Ioctl::kGnttabUnmapV2, Ioctl::kSuspendGetCount, Ioctl::kSuspendRegister,
                           Ioctl::kSuspendDeregister, Ioctl::kSharedInfoGetTime}) {
    Irp& irp = new_irp();
    for (const size_t input : {0, 4, 8, 24, 28}) {
      for (const size_t output : {0, 4, 8, 12}) {
        EXPECT_EQ(pend(*handle, code, irp, Input().resize(std::max<size_t>(input, output)), output),
                  NtStatus::kNotSupported);
      }
    }
    EXPECT_EQ(irp.completions + irp.deliveries, 0);
  }
  guest_.run([&] {
    handle.reset();
    const auto last = std::move(poor);
  });
}

}  // namespace
}  // namespace ringside::conformance
