#include "protocols/xenbus/grant_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace ringside::xenbus {
namespace {

using platform::kPageSize;

/// Memory and a log; time stands still and nothing runs.
class HostPlatform final : public platform::Platform {
 public:
  void* allocate(size_t bytes) override { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); }
  void release(void* memory) override { std::free(memory); }
  Result<platform::Page> allocate_page() override { return Status::kNoMemory; }
  void release_page(platform::Page page) override { released.push_back(page.frame); }
  Result<platform::PageRange> allocate_pages(unsigned) override { return Status::kNoMemory; }
  void release_pages(const platform::PageRange&) override {}
  Result<platform::Frame> reserve_frames(unsigned) override { return platform::Frame{1000}; }
  void release_frames(platform::Frame, unsigned) override {}
  Result<std::byte*> map_frame(platform::Frame frame) override { return frames[frame].data(); }
  void unmap_frame(std::byte*) override {}
  platform::Nanoseconds now() override { return 0; }
  Status wait_until(platform::Event&, platform::Nanoseconds) override { return Status::kTimedOut; }
  void yield() override {
    if (on_yield) on_yield();
  }
  unsigned cpu() override { return 0; }
  unsigned cpu_count() override { return 1; }
  Result<Owned<platform::Event>> create_event() override { return Status::kNotSupported; }
  Result<Owned<platform::Lock>> create_lock() override {
    return Owned<platform::Lock>(new HostLock);
  }
  Result<Owned<platform::Timer>> create_timer(Delegate, unsigned) override {
    return Status::kNotSupported;
  }
  Result<Owned<platform::Work>> create_work(Delegate, unsigned) override {
    return Status::kNotSupported;
  }
  void set_upcall(unsigned, Delegate) override {}
  uint64_t random() override { return 4; }
  void log(platform::LogLevel, std::string_view line) override { lines.emplace_back(line); }
  uint32_t setting(std::string_view, uint32_t fallback) override { return fallback; }
  [[noreturn]] void fail(const char*, int, const char*) override { std::abort(); }

  std::map<platform::Frame, std::array<std::byte, kPageSize>> frames;
  std::vector<platform::Frame> released;
  std::vector<std::string> lines;
  std::function<void()> on_yield;

 private:
  struct HostLock final : platform::Lock {
    void acquire() override {}
    void release() override {}
    void destroy() override { delete this; }
  };
};

/// A Xen with two grant frames.
class TwoFrames final : public Hypercall {
 public:
  int64_t call(unsigned number, uint64_t a1, uint64_t a2, uint64_t, uint64_t, uint64_t) override {
    if (number == __HYPERVISOR_grant_table_op && a1 == GNTTABOP_query_size) {
      auto& size = *reinterpret_cast<gnttab_query_size*>(a2);
      size.max_nr_frames = 2;
      size.status = GNTST_okay;
    }
    return 0;
  }
};

class GrantTableTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(table_->start(), Status::kOk); }

  Owned<GrantCache> cache(uint32_t reserve = 0, uint32_t limit = 64) {
    auto made = table_->create_cache("test", reserve, limit);
    EXPECT_TRUE(made.ok());
    return *std::move(made);
  }
  grant_entry_v1_t& entry(GrantRef ref) {
    return reinterpret_cast<grant_entry_v1_t*>(
        platform_.frames[1000 + ref / 512].data())[ref % 512];
  }
  void peer_maps(GrantRef ref) { entry(ref).flags |= GTF_reading | GTF_writing; }
  void peer_unmaps(GrantRef ref) {
    entry(ref).flags &= static_cast<uint16_t>(~(GTF_reading | GTF_writing));
  }

  HostPlatform platform_;
  TwoFrames xen_;
  Hypercalls calls_{xen_};
  std::optional<GrantTable> table_{std::in_place, platform_, calls_};
};

TEST_F(GrantTableTest, GRANT_001_PermitFillsTheEntryAndKeepsOffTheReservedOnes) {
  auto grants = cache();
  const auto first = grants->permit(3, 0x1234, Access::kReadOnly);
  ASSERT_TRUE(first.ok());
  EXPECT_GE(*first, GrantTable::kFirstUsable);
  EXPECT_EQ(entry(*first).domid, 3);
  EXPECT_EQ(entry(*first).frame, 0x1234u);
  EXPECT_EQ(entry(*first).flags, GTF_permit_access | GTF_readonly);
  EXPECT_EQ(grants->revoke(*first), Status::kOk);
  EXPECT_EQ(entry(*first).flags, 0);
}

TEST_F(GrantTableTest, GRANT_002_AMappedGrantIsBusyAndStaysLive) {
  auto grants = cache();
  const GrantRef ref = *grants->permit(3, 5, Access::kReadWrite);
  peer_maps(ref);
  EXPECT_EQ(grants->revoke(ref), Status::kBusy);
  EXPECT_NE(entry(ref).flags & GTF_permit_access, 0);
  peer_unmaps(ref);
  EXPECT_EQ(grants->revoke(ref), Status::kOk);
}

TEST_F(GrantTableTest, GRANT_002_RevokeSeesAPeerThatLetsGoMeanwhile) {
  auto grants = cache();
  const GrantRef ref = *grants->permit(3, 5, Access::kReadWrite);
  peer_maps(ref);
  platform_.on_yield = [&] { peer_unmaps(ref); };
  EXPECT_EQ(grants->revoke(ref), Status::kOk);
}

TEST_F(GrantTableTest, GRANT_002_AParkedPageIsFreedOnceThePeerLetsGo) {
  auto grants = cache(0, 1);
  std::byte memory{};
  const GrantRef ref = *grants->permit(3, 5, Access::kReadWrite);
  peer_maps(ref);
  grants->park(ref, {.address = &memory, .frame = 5});
  EXPECT_EQ(table_->parked(), 1u);
  const auto other = grants->permit(3, 6, Access::kReadWrite);
  ASSERT_TRUE(other.ok()) << "the parked reference counts no more";
  EXPECT_TRUE(platform_.released.empty());
  peer_unmaps(ref);
  EXPECT_EQ(grants->revoke(*other), Status::kOk);
  EXPECT_EQ(platform_.released, std::vector<platform::Frame>{5});
  EXPECT_EQ(table_->parked(), 0u);
  EXPECT_EQ(entry(ref).flags, 0);
}

TEST_F(GrantTableTest, GRANT_002_ParkedPagesAreAllLookedAtInTurn) {
  auto grants = cache();
  std::byte memory{};
  std::vector<GrantRef> refs;
  for (platform::Frame frame = 0; frame < 12; ++frame) {
    refs.push_back(*grants->permit(3, frame, Access::kReadWrite));
    peer_maps(refs.back());
    grants->park(refs.back(), {.address = &memory, .frame = frame});
  }
  peer_unmaps(refs[11]);
  const GrantRef other = *grants->permit(3, 100, Access::kReadWrite);
  for (int i = 0; i < 3; ++i) EXPECT_NE(grants->revoke(refs[0]), Status::kOk);
  EXPECT_EQ(platform_.released, std::vector<platform::Frame>{11});
  EXPECT_EQ(grants->revoke(other), Status::kOk);
}

TEST_F(GrantTableTest, GRANT_002_ForeignAndFreeReferencesAreRefused) {
  auto grants = cache();
  EXPECT_EQ(grants->revoke(0), Status::kInvalidArgument);
  EXPECT_EQ(grants->revoke(40), Status::kInvalidArgument);
  EXPECT_EQ(grants->revoke(512), Status::kInvalidArgument);
  EXPECT_EQ(grants->revoke(0xffffffffu), Status::kInvalidArgument);
}

TEST_F(GrantTableTest, GRANT_004_FramesAbove32BitsAreRefused) {
  auto grants = cache();
  EXPECT_EQ(grants->permit(3, uint64_t{1} << 32, Access::kReadWrite).status(),
            Status::kNotSupported);
  EXPECT_TRUE(grants->permit(3, 0xffffffffu, Access::kReadWrite).ok());
}

TEST_F(GrantTableTest, GrowsToItsLimitAndEachReferenceIsHandedOutOnce) {
  auto grants = cache(0, 5000);
  std::set<GrantRef> seen;
  for (;;) {
    const auto ref = grants->permit(3, 5, Access::kReadWrite);
    if (!ref) {
      EXPECT_EQ(ref.status(), Status::kNoResources);
      break;
    }
    EXPECT_TRUE(seen.insert(*ref).second) << *ref;
  }
  EXPECT_EQ(seen.size(), 2 * 512 - GrantTable::kFirstUsable);
  for (const GrantRef ref : seen) EXPECT_EQ(grants->revoke(ref), Status::kOk);
}

TEST_F(GrantTableTest, ACacheKeepsToItsLimitAndGivesBackItsReserve) {
  const uint32_t before = table_->free_references();
  {
    auto grants = cache(10, 12);
    EXPECT_EQ(table_->free_references(), before - 10);
    std::vector<GrantRef> refs;
    for (int i = 0; i < 12; ++i) refs.push_back(*grants->permit(3, 5, Access::kReadWrite));
    EXPECT_EQ(grants->permit(3, 5, Access::kReadWrite).status(), Status::kNoResources);
    for (const GrantRef ref : refs) EXPECT_EQ(grants->revoke(ref), Status::kOk);
  }
  EXPECT_EQ(table_->free_references(), before);
  EXPECT_TRUE(platform_.lines.empty());
}

TEST_F(GrantTableTest, WhatIsNotRevokedIsReportedByTheCachesName) {
  { (void)cache()->permit(3, 5, Access::kReadWrite); }
  EXPECT_EQ(std::count(platform_.lines.begin(), platform_.lines.end(), "test"), 1);
}

}  // namespace
}  // namespace ringside::xenbus
