#include "conformance/xeniface/iface_rig.hpp"

namespace ringside::conformance {
namespace {

using platform::kPageSize;
using xeniface::kReadOnly;
using xeniface::kUseNotifyOffset;
using xeniface::kUseNotifyPort;

/// Maps of what the peer granted, over the simulated machine's grants.
class IfaceMapsTest : public IfaceTest {
 protected:
  using In = xeniface::GnttabMapInV2;

  IfaceMapsTest() {
    EXPECT_TRUE(peer_.grants().grow(1));
    for (uint32_t i = 0; i < kPages; ++i) {
      gfns_.push_back(peer_.allocate_pages().at(0));
      peer_.grants().permit(kFirst + i, guest_.domid(), gfns_.back());
      peer_page(i)[0] = static_cast<std::byte>(0x40 + i);
    }
    peer_.grants().permit(kFirst + kPages, guest_.domid(), gfns_[0], true);
  }
  void SetUp() override {
    if (const auto why = chosen_xen_lacks(sim::XenFeature::kGrantMaps)) GTEST_SKIP() << *why;
  }
  ~IfaceMapsTest() override {
    take_down();
    EXPECT_EQ(in_use(), 0u) << "everything is unmapped in the end";
    for (uint32_t i = 0; i <= kPages; ++i) peer_.grants().entry(kFirst + i) = {};
    for (const uint64_t gfn : gfns_) peer_.release_pages({&gfn, 1});
  }

  In map_in(uint32_t pages, uint32_t flags = 0) { return {peer_.id(), pages, flags, 0, 0}; }
  NtStatus map_pages(Handle& handle, Irp& irp, const In& in, uint32_t first = kFirst) {
    Input input(in);
    for (uint32_t i = 0; i < in.pages; ++i) input.append(first + i);
    return pend(handle, Ioctl::kGnttabMapV2, irp, input, 8);
  }
  NtStatus map_v1(Irp& irp, uint32_t id, uint32_t pages = 1) {
    Input input(xeniface::GnttabMapIn{id, peer_.id(), pages, 0, 0, 0});
    for (uint32_t i = 0; i < pages; ++i) input.append(kFirst + i);
    return pend(*one_, Ioctl::kGnttabMap, irp, input, 8);
  }
  NtStatus unmap_v1(uint32_t id) { return call(*one_, Ioctl::kGnttabUnmap, Input(id)).status; }
  NtStatus unmap_v2(Handle& handle, UserAddress address) {
    return call(handle, Ioctl::kGnttabUnmapV2, Input(address)).status;
  }
  std::byte* peer_page(uint32_t i) { return peer_.page_address(gfns_[i]); }
  uint32_t in_use() {
    uint32_t count = 0;
    for (uint32_t i = 0; i <= kPages; ++i) count += peer_.grants().use_count(kFirst + i);
    return count;
  }

  static constexpr uint32_t kFirst = 40;
  static constexpr uint32_t kPages = 3;
  std::vector<uint64_t> gfns_;
};

TEST_F(IfaceMapsTest, IFACE_044_TheCallerSeesThePeersPagesWhileTheRequestIsPending) {
  Irp& irp = new_irp();
  ASSERT_EQ(map_pages(*one_, irp, map_in(3)), NtStatus::kPending);
  EXPECT_EQ(irp.deliveries, 1);
  for (uint32_t i = 0; i < 3; ++i) {
    std::byte* const mine = process_.find(address_of(irp) + i * kPageSize);
    ASSERT_NE(mine, nullptr);
    EXPECT_EQ(*mine, static_cast<std::byte>(0x40 + i));
    mine[1] = std::byte{0x99};
    EXPECT_EQ(peer_page(i)[1], std::byte{0x99});
  }
  EXPECT_EQ(in_use(), 3u);
  EXPECT_EQ(unmap_v2(*one_, address_of(irp)), NtStatus::kSuccess);
  EXPECT_EQ(irp.status, NtStatus::kSuccess);
  EXPECT_EQ(irp.completions, 1);
  EXPECT_EQ(in_use(), 0u);
  EXPECT_EQ(process_.find(address_of(irp)), nullptr);
  EXPECT_EQ(unmap_v2(*one_, address_of(irp)), NtStatus::kNotFound);
}

TEST_F(IfaceMapsTest, IFACE_044_VersionOneGoesByItsRequestIdWhichGrantsDoNotShare) {
  Irp& grant = new_irp();
  const xeniface::GnttabPermitIn permit_v1{7, peer_.id(), 1, 0, 0, 0};
  ASSERT_EQ(pend(*one_, Ioctl::kGnttabPermit, grant, Input(permit_v1), permit_out(1)),
            NtStatus::kPending);
  Irp& irp = new_irp();
  ASSERT_EQ(map_v1(irp, 7, 2), NtStatus::kPending);
  EXPECT_EQ(map_v1(new_irp(), 7), NtStatus::kInvalidParameter);
  EXPECT_EQ(unmap_v1(8), NtStatus::kNotFound);
  EXPECT_EQ(unmap_v1(7), NtStatus::kSuccess);
  EXPECT_EQ(irp.completions, 1);
  EXPECT_EQ(grant.completions, 0);
}

TEST_F(IfaceMapsTest, IFACE_044_AReadOnlyGrantIsMappedForReadingOnly) {
  EXPECT_EQ(map_pages(*one_, new_irp(), map_in(1), kFirst + kPages), NtStatus::kIoDeviceError);
  EXPECT_EQ(map_pages(*one_, new_irp(), map_in(1, kReadOnly), kFirst + kPages), NtStatus::kPending);
}

TEST_F(IfaceMapsTest, IFACE_037_AMapThatFailsLeavesNothingMapped) {
  EXPECT_EQ(map_pages(*one_, new_irp(), map_in(3), kFirst + 2), NtStatus::kIoDeviceError);
  EXPECT_EQ(in_use(), 0u);
  Irp& irp = new_irp();
  irp.fail_delivery = true;
  EXPECT_EQ(map_pages(*one_, irp, map_in(2)), NtStatus::kAccessViolation);
  process_.fail_mapping = true;
  EXPECT_EQ(map_pages(*one_, new_irp(), map_in(2)), NtStatus::kNoMemory);
  process_.fail_mapping = false;
  EXPECT_EQ(in_use(), 0u);
  EXPECT_EQ(process_.mapped_regions(), 0u);
  for (uint64_t n = 1;; ++n) {
    ASSERT_LT(n, 50u);
    Irp& next = new_irp();
    guest_.guest().fail_allocation_at(n);
    const NtStatus status = map_pages(*one_, next, map_in(2));
    guest_.guest().fail_allocation_at(0);
    if (status == NtStatus::kPending) {
      EXPECT_GT(n, 2u);
      break;
    }
    EXPECT_EQ(status, NtStatus::kNoMemory);
    EXPECT_EQ(in_use(), 0u);
  }
}

TEST_F(IfaceMapsTest, IFACE_030_CountsAndLengthsOfAMapAreChecked) {
  const auto map_with = [&](const In& in, size_t references, size_t output) {
    return pend(*one_, Ioctl::kGnttabMapV2, new_irp(), Input(in).resize(sizeof(In) + references),
                output);
  };
  EXPECT_EQ(map_with(map_in(1), 3, 8), NtStatus::kInvalidBufferSize);
  EXPECT_EQ(map_with(map_in(1), 5, 8), NtStatus::kInvalidBufferSize);
  EXPECT_EQ(map_with(map_in(1), 4, 4), NtStatus::kInvalidBufferSize);
  EXPECT_EQ(map_with(map_in(1), 4, 9), NtStatus::kInvalidBufferSize);
  for (const uint32_t pages : {0u, 2u, 0x40000001u, 0xffffffffu}) {
    EXPECT_EQ(map_with(map_in(pages), 4, 8), NtStatus::kInvalidParameter) << pages;
  }
  EXPECT_EQ(map_with(map_in(1025), 4 * 1025, 8), NtStatus::kInsufficientResources);
  EXPECT_EQ(map_with(map_in(1, 8), 4, 8), NtStatus::kInvalidParameter);
  In offset = map_in(1, kUseNotifyOffset);
  offset.notify_offset = kPageSize;
  EXPECT_EQ(map_with(offset, 4, 8), NtStatus::kInvalidParameter);
  offset.notify_offset = 0;
  offset.flags |= kReadOnly;
  EXPECT_EQ(map_with(offset, 4, 8), NtStatus::kInvalidParameter) << "nothing may be written";
}

TEST_F(IfaceMapsTest, IFACE_045_TheByteIsWrittenBeforeAndThePortNotifiedAfterTheUnmap) {
  const auto [local, remote] = connect(*one_, process_.create_event());
  Irp& irp = new_irp();
  In in = map_in(2, kUseNotifyOffset | kUseNotifyPort);
  in.notify_offset = kPageSize + 9;
  in.notify_port = local;
  ASSERT_EQ(map_pages(*one_, irp, in), NtStatus::kPending);
  peer_page(1)[9] = std::byte{1};
  peer_was_notified(remote);
  EXPECT_EQ(unmap_v2(*one_, address_of(irp)), NtStatus::kSuccess);
  EXPECT_EQ(peer_page(1)[9], std::byte{0});
  EXPECT_TRUE(peer_was_notified(remote));

  in.notify_port = local + 1;
  EXPECT_EQ(map_pages(*one_, new_irp(), in), NtStatus::kInvalidParameter);
}

TEST_F(IfaceMapsTest, IFACE_040_AnotherHandleCannotEndAMap) {
  Irp& irp = new_irp();
  ASSERT_EQ(map_pages(*one_, irp, map_in(1)), NtStatus::kPending);
  EXPECT_EQ(unmap_v2(*two_, address_of(irp)), NtStatus::kNotFound);
  cancel(*two_, irp);
  EXPECT_EQ(irp.completions, 0);
  cancel(*one_, irp);
  EXPECT_EQ(irp.status, NtStatus::kCancelled);
  EXPECT_EQ(in_use(), 0u);
}

TEST_F(IfaceMapsTest, IFACE_041_ACloseEndsTheMapsAndTellsThePeer) {
  const auto [local, remote] = connect(*one_, process_.create_event());
  Irp& irp = new_irp();
  In in = map_in(1, kUseNotifyPort);
  in.notify_port = local;
  ASSERT_EQ(map_pages(*one_, irp, in), NtStatus::kPending);
  peer_was_notified(remote);
  guest_.run([&] { one_->cleanup(); });
  EXPECT_EQ(irp.status, NtStatus::kCancelled);
  EXPECT_EQ(in_use(), 0u);
  EXPECT_TRUE(peer_was_notified(remote));
  Irp& late = new_irp();
  EXPECT_EQ(map_pages(*one_, late, in), NtStatus::kDeviceNotReady);
}

TEST_F(IfaceMapsTest, IFACE_041_AHandleThatClosesUnderAMapLeavesNothing) {
  Irp& irp = new_irp();
  irp.meanwhile = [&] { one_->cleanup(); };
  EXPECT_EQ(map_pages(*one_, irp, map_in(2)), NtStatus::kDeviceNotReady);
  EXPECT_EQ(irp.completions, 0);
  EXPECT_EQ(in_use(), 0u);
  EXPECT_EQ(process_.mapped_regions(), 0u);
}

TEST_F(IfaceMapsTest, IFACE_033_APeersPagesAreNotTheCallersToShare) {
  Irp& irp = new_irp();
  ASSERT_EQ(map_pages(*one_, irp, map_in(2)), NtStatus::kPending);
  EXPECT_EQ(permit(*one_, new_irp(), permit_in(1, address_of(irp) + kPageSize)),
            NtStatus::kInvalidParameter);
}

}  // namespace
}  // namespace ringside::conformance
