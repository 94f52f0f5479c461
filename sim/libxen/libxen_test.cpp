// The public headers as the machine uses them, before libxen asks for an older form of them.
#include "protocols/platform/xen.hpp"

extern "C" {
#include <xenevtchn.h>
#include <xengnttab.h>
}

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "sim/machine/machine.hpp"

namespace ringside::sim {
namespace {

constexpr GrantRef kRef = 20;

struct Kind {
  const char* name;
  std::unique_ptr<World> (*create)(uint64_t);
};

class LibxenTest : public testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<World> world_ = GetParam().create(3);
  Machine machine_{*world_, {.frames = 4096}};
  Domain& guest_ = machine_.create_domain({.max_pages = 256});
};

bool readable(int fd) {
  pollfd polled{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&polled, 1, 0) == 1;
}

TEST_P(LibxenTest, MapsShareMemoryWithTheGuest) {
  const auto gfns = guest_.allocate_pages(4);
  std::vector<uint32_t> refs;
  for (uint32_t i = 0; i < 4; ++i) {
    guest_.grants().permit(kRef + i, 0, gfns[3 - i]);
    refs.push_back(kRef + i);
  }
  xengnttab_handle* gnttab = xengnttab_open(nullptr, 0);
  auto* pages = static_cast<std::byte*>(
      xengnttab_map_domain_grant_refs(gnttab, 4, guest_.id(), refs.data(), PROT_READ | PROT_WRITE));
  ASSERT_NE(pages, nullptr);
  for (uint32_t i = 0; i < 4; ++i) {
    guest_.page_address(gfns[3 - i])[5] = static_cast<std::byte>(i + 1);
    EXPECT_EQ(pages[i * kPageSize + 5], static_cast<std::byte>(i + 1));
  }
  pages[0] = std::byte{9};
  EXPECT_EQ(guest_.page_address(gfns[3])[0], std::byte{9});
  EXPECT_EQ(xengnttab_unmap(gnttab, pages, 3), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(xengnttab_unmap(gnttab, pages, 4), 0);
  EXPECT_EQ(xengnttab_unmap(gnttab, pages, 4), -1);
  for (uint32_t i = 0; i < 4; ++i) EXPECT_EQ(guest_.grants().use_count(kRef + i), 0u);
  EXPECT_EQ(xengnttab_close(gnttab), 0);
}

TEST_P(LibxenTest, AMapThatFailsHalfwayLeavesNothing) {
  guest_.grants().permit(kRef, 0, guest_.allocate_pages()[0]);
  uint32_t refs[] = {kRef, kRef + 1};
  xengnttab_handle* gnttab = xengnttab_open(nullptr, 0);
  EXPECT_EQ(xengnttab_map_domain_grant_refs(gnttab, 2, guest_.id(), refs, PROT_READ), nullptr);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(guest_.grants().use_count(kRef), 0u);
  xengnttab_close(gnttab);
}

TEST_P(LibxenTest, CloseEndsTheMaps) {
  guest_.grants().permit(kRef, 0, guest_.allocate_pages()[0]);
  xengnttab_handle* gnttab = xengnttab_open(nullptr, 0);
  EXPECT_NE(xengnttab_map_grant_ref(gnttab, guest_.id(), kRef, PROT_READ), nullptr);
  EXPECT_EQ(guest_.grants().use_count(kRef), 1u);
  xengnttab_close(gnttab);
  EXPECT_EQ(guest_.grants().use_count(kRef), 0u);
}

TEST_P(LibxenTest, UnmapNotifies) {
  const uint64_t gfn = guest_.allocate_pages()[0];
  guest_.grants().permit(kRef, 0, gfn);
  guest_.page_address(gfn)[7] = std::byte{1};
  const int64_t port = guest_.events().alloc_unbound(0);
  xenevtchn_handle* evtchn = xenevtchn_open(nullptr, 0);
  const int local = xenevtchn_bind_interdomain(evtchn, guest_.id(), static_cast<Port>(port));
  xengnttab_handle* gnttab = xengnttab_open(nullptr, 0);
  void* page = xengnttab_map_grant_ref_notify(gnttab, guest_.id(), kRef, PROT_READ | PROT_WRITE, 7,
                                              static_cast<Port>(local));
  ASSERT_NE(page, nullptr);
  EXPECT_EQ(xengnttab_unmap(gnttab, page, 1), 0);
  EXPECT_EQ(guest_.page_address(gfn)[7], std::byte{0});
  EXPECT_TRUE(guest_.events().pending(static_cast<Port>(port)));
  xengnttab_close(gnttab);
  xenevtchn_close(evtchn);
}

TEST_P(LibxenTest, GrantCopyAnswersPerSegment) {
  const uint64_t gfn = guest_.allocate_pages()[0];
  guest_.grants().permit(kRef, 0, gfn);
  char buffer[16] = "hello";
  xengnttab_grant_copy_segment_t segments[2]{};
  for (auto& segment : segments) {
    segment.source.virt = buffer;
    segment.dest.foreign.ref = kRef;
    segment.dest.foreign.domid = guest_.id();
    segment.dest.foreign.offset = 100;
    segment.len = 6;
    segment.flags = GNTCOPY_dest_gref;
  }
  segments[0].dest.foreign.ref = kRef + 1;
  xengnttab_handle* gnttab = xengnttab_open(nullptr, 0);
  EXPECT_EQ(xengnttab_grant_copy(gnttab, 2, segments), 0);
  EXPECT_EQ(segments[0].status, GNTST_general_error);
  EXPECT_EQ(segments[1].status, GNTST_okay);
  EXPECT_EQ(std::memcmp(guest_.page_address(gfn) + 100, "hello", 6), 0);
  segments[0].dest.foreign.offset = 4095;
  EXPECT_EQ(xengnttab_grant_copy(gnttab, 1, segments), -1);
  EXPECT_EQ(errno, EINVAL);
  xengnttab_close(gnttab);
}

TEST_P(LibxenTest, AnEventIsTakenOnceAndAgainAfterUnmask) {
  const auto theirs = static_cast<Port>(guest_.events().alloc_unbound(0));
  xenevtchn_handle* evtchn = xenevtchn_open(nullptr, 0);
  const int port = xenevtchn_bind_interdomain(evtchn, guest_.id(), theirs);
  ASSERT_GT(port, 0);
  EXPECT_EQ(xenevtchn_pending(evtchn), port) << "the bind itself announces";
  guest_.events().send(theirs);
  EXPECT_EQ(xenevtchn_pending(evtchn), -1) << "masked until unmasked";
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_FALSE(readable(xenevtchn_fd(evtchn)));
  EXPECT_EQ(xenevtchn_unmask(evtchn, static_cast<Port>(port)), 0);
  EXPECT_TRUE(readable(xenevtchn_fd(evtchn)));
  EXPECT_EQ(xenevtchn_pending(evtchn), port);
  EXPECT_FALSE(readable(xenevtchn_fd(evtchn)));
  EXPECT_EQ(xenevtchn_notify(evtchn, static_cast<Port>(port)), 0);
  EXPECT_TRUE(guest_.events().pending(theirs));
  EXPECT_EQ(xenevtchn_notify(evtchn, 77), -1);
  EXPECT_EQ(errno, ENOTCONN);
  EXPECT_EQ(xenevtchn_unbind(evtchn, static_cast<Port>(port)), 0);
  EXPECT_EQ(xenevtchn_unbind(evtchn, static_cast<Port>(port)), -1);
  EXPECT_EQ(errno, ENOTCONN);
  EXPECT_EQ(xenevtchn_bind_interdomain(evtchn, 77, 1), -1);
  EXPECT_EQ(errno, ESRCH);
  xenevtchn_close(evtchn);
  EXPECT_FALSE(machine_.dom0().events().open(static_cast<Port>(port)));
}

TEST_P(LibxenTest, EventsWakeTheActorThatUsesTheHandle) {
  constexpr int kRounds = 200;
  const auto theirs = static_cast<Port>(guest_.events().alloc_unbound(0));
  xenevtchn_handle* evtchn = xenevtchn_open(nullptr, 0);
  const int port = xenevtchn_bind_interdomain(evtchn, guest_.id(), theirs);
  std::atomic<int> answered{0};
  Actor& back = world_->spawn("back", [&] {
    for (;;) {
      for (int taken = xenevtchn_pending(evtchn); taken > 0; taken = xenevtchn_pending(evtchn)) {
        EXPECT_EQ(taken, port);
        xenevtchn_unmask(evtchn, static_cast<Port>(port));
        ++answered;
      }
      Actor::current()->sleep();
    }
  });
  Actor& front = world_->spawn("front", [&] {
    for (int i = 0; i < kRounds; ++i) {
      const int before = answered.load();
      guest_.events().send(theirs);
      while (answered.load() == before) Actor::current()->yield();
    }
  });
  EXPECT_TRUE(
      world_->run_until([&] { return answered.load() >= kRounds; }, 60 * platform::kSecond));
  world_->stop(front);
  world_->stop(back);
  xenevtchn_close(evtchn);
}

TEST(LibxenDeathTest, AnAccessAfterUnmapFaults) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto world = World::deterministic(1);
  Machine machine(*world, {.frames = 1024});
  Domain& guest = machine.create_domain({.max_pages = 16});
  guest.grants().permit(kRef, 0, guest.allocate_pages()[0]);
  xengnttab_handle* gnttab = xengnttab_open(nullptr, 0);
  auto* page = static_cast<volatile char*>(
      xengnttab_map_grant_ref(gnttab, guest.id(), kRef, PROT_READ | PROT_WRITE));
  page[0] = 1;
  EXPECT_DEATH(
      {
        xengnttab_unmap(gnttab, const_cast<char*>(page), 1);
        page[0] = 2;
      },
      "");
  xengnttab_close(gnttab);
}

INSTANTIATE_TEST_SUITE_P(Kinds, LibxenTest,
                         testing::Values(Kind{"Deterministic", &World::deterministic},
                                         Kind{"Threaded", &World::threaded}),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace ringside::sim
