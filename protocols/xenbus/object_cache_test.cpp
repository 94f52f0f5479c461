#include "protocols/xenbus/object_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "protocols/xenbus/host_platform_test.hpp"

namespace ringside::xenbus {
namespace {

constexpr uint64_t kConstructed = 0x0b1ec7;

/// What the cache did to its objects.
struct Maker {
  int alive = 0;
  int left = 1 << 30;  ///< constructions before they fail

  static Status construct(void* context, void* object) {
    auto& self = *static_cast<Maker*>(context);
    if (self.left == 0) return Status::kNoResources;
    --self.left;
    ++self.alive;
    *static_cast<uint64_t*>(object) = kConstructed;
    return Status::kOk;
  }
  static void destruct(void* context, void* object) {
    --static_cast<Maker*>(context)->alive;
    EXPECT_EQ(*static_cast<uint64_t*>(object), kConstructed);
    *static_cast<uint64_t*>(object) = 0;
  }
};

class ObjectCacheTest : public testing::Test {
 protected:
  ~ObjectCacheTest() override {
    cache_.reset();
    EXPECT_EQ(maker_.alive, 0);
    EXPECT_EQ(platform_.blocks, lost_);
  }
  Status start(uint32_t reserve, uint32_t cap, size_t bytes = 200) {
    cache_.emplace(platform_, CacheConfig{.name = "packets",
                                          .object_bytes = bytes,
                                          .reserve = reserve,
                                          .cap = cap,
                                          .hooks = {.construct = Maker::construct,
                                                    .destruct = Maker::destruct,
                                                    .context = &maker_}});
    return cache_->start();
  }
  std::vector<void*> get(size_t count) {
    std::vector<void*> objects;
    for (size_t i = 0; i < count; ++i) objects.push_back(cache_->get().value_or(nullptr));
    return objects;
  }
  void put(const std::vector<void*>& objects) {
    for (void* object : objects) cache_->put(object);
  }

  HostPlatform platform_;
  Maker maker_;
  int lost_ = 0;
  std::optional<ObjectCache> cache_;
};

TEST_F(ObjectCacheTest, ObjectsStayConstructedBetweenTheirUses) {
  ASSERT_EQ(start(4, 1000), Status::kOk);
  EXPECT_GE(maker_.alive, 4);
  void* first = *cache_->get();
  EXPECT_EQ(*static_cast<uint64_t*>(first), kConstructed);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 16, 0u);
  cache_->put(first);
  EXPECT_EQ(*cache_->get(), first) << "the one that is still warm";
  EXPECT_EQ(*static_cast<uint64_t*>(first), kConstructed);
  cache_->put(first);
}

TEST_F(ObjectCacheTest, TheCapHolds) {
  ASSERT_EQ(start(0, 50), Status::kOk);
  auto objects = get(50);
  EXPECT_EQ(std::set<void*>(objects.begin(), objects.end()).size(), 50u);
  EXPECT_EQ(std::count(objects.begin(), objects.end(), nullptr), 0);
  EXPECT_EQ(cache_->get().status(), Status::kNoResources);
  EXPECT_EQ(maker_.alive, 50);
  put(objects);
}

TEST_F(ObjectCacheTest, AReserveNeedsNoMemoryLater) {
  ASSERT_EQ(start(30, 1000), Status::kOk);
  platform_.allocations_left = 0;
  auto objects = get(30);
  EXPECT_EQ(std::count(objects.begin(), objects.end(), nullptr), 0);
  put(objects);
}

TEST_F(ObjectCacheTest, WhatCannotBeMadeIsSaidAndLeavesNothing) {
  EXPECT_EQ(start(10, 5), Status::kInvalidArgument);
  for (uint64_t left = 0; left < 2; ++left) {
    platform_.allocations_left = left;
    EXPECT_EQ(start(5, 10), Status::kNoMemory) << left;
  }
  platform_.allocations_left = 100;
  maker_.left = 3;
  EXPECT_EQ(start(5, 10), Status::kNoResources);
  EXPECT_EQ(maker_.alive, 0) << "three were made and are gone";
}

TEST_F(ObjectCacheTest, SpillGivesBackAllButTheReserve) {
  ASSERT_EQ(start(20, 1000), Status::kOk);
  const uint32_t before = cache_->objects();
  auto objects = get(300);
  EXPECT_GE(cache_->objects(), 300u);
  put(objects);
  cache_->spill();
  EXPECT_GE(cache_->objects(), 20u);
  EXPECT_LE(cache_->objects(), before);
  EXPECT_EQ(static_cast<uint32_t>(maker_.alive), cache_->objects());
}

TEST_F(ObjectCacheTest, ObjectsMayBePutBackOnAnotherCpu) {
  ASSERT_EQ(start(0, 100), Status::kOk);
  auto objects = get(100);
  platform_.on_cpu = 1;
  put(objects);
  platform_.on_cpu = 0;
  objects = get(100 - ObjectCache::kRounds);
  EXPECT_EQ(std::count(objects.begin(), objects.end(), nullptr), 0)
      << "a magazine's worth at most stays with the other CPU";
  put(objects);
}

TEST_F(ObjectCacheTest, WhatIsNotPutBackIsReportedByNameAndNotFreed) {
  ASSERT_EQ(start(0, 10), Status::kOk);
  void* kept = *cache_->get();
  cache_.reset();
  EXPECT_EQ(std::count(platform_.lines.begin(), platform_.lines.end(), "packets"), 1);
  EXPECT_EQ(*static_cast<uint64_t*>(kept), kConstructed) << "its memory is nobody else's";
  maker_.alive = 0;
  lost_ = 1;
  auto* slab = reinterpret_cast<std::byte*>(reinterpret_cast<uintptr_t*>(kept)[-2]);
  platform_.release(slab);
  lost_ = 0;
}

TEST_F(ObjectCacheTest, AgreesWithASimpleModel) {
  ASSERT_EQ(start(8, 64, 900), Status::kOk);
  std::mt19937_64 random(3);
  std::vector<void*> held;
  for (int step = 0; step < 20'000; ++step) {
    platform_.on_cpu = random() % 2;
    const auto choice = random() % 100;
    if (choice < 50) {
      const auto object = cache_->get();
      if (!object) {
        ASSERT_GE(held.size() + ObjectCache::kRounds, 64u) << "refused below the cap";
        continue;
      }
      ASSERT_EQ(std::count(held.begin(), held.end(), *object), 0) << "handed out twice";
      held.push_back(*object);
    } else if (choice < 99 && !held.empty()) {
      std::swap(held[random() % held.size()], held.back());
      cache_->put(held.back());
      held.pop_back();
    } else {
      cache_->spill();
    }
    ASSERT_LE(cache_->objects(), 64u);
    ASSERT_GE(cache_->objects(), std::max<size_t>(8, held.size()));
  }
  put(held);
}

}  // namespace
}  // namespace ringside::xenbus
