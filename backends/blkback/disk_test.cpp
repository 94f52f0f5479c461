#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "backends/blkback/faulty_disk.hpp"
#include "backends/blkback/uring_disk.hpp"

namespace ringside::backends {
namespace {

std::vector<std::byte> pattern(size_t bytes, unsigned seed) {
  std::vector<std::byte> data(bytes);
  for (size_t i = 0; i < bytes; ++i) data[i] = static_cast<std::byte>(i / 7 + i % 251 + seed);
  return data;
}

class UringDiskTest : public testing::Test {
 protected:
  static constexpr uint64_t kBytes = uint64_t{1} << 20;

  void SetUp() override {
    std::string name = (std::filesystem::current_path() / "disk-test-XXXXXX").string();
    const int file = mkstemp(name.data());
    ASSERT_GE(file, 0);
    path_ = name;
    ASSERT_EQ(ftruncate(file, kBytes), 0);
    close(file);
  }
  void TearDown() override { unlink(path_.c_str()); }

  void open(FileDisk::Mode mode = FileDisk::Mode::kReadWrite) {
    disk_ = UringDisk::open(path_, mode, error_);
    if (disk_ == nullptr && error_.starts_with("io_uring:")) GTEST_SKIP() << error_;
    ASSERT_NE(disk_, nullptr) << error_;
  }
  std::vector<std::byte> content() const {
    std::vector<std::byte> bytes(kBytes);
    std::ifstream(path_, std::ios::binary)
        .read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(kBytes));
    return bytes;
  }

  std::string path_;
  std::string error_;
  std::unique_ptr<UringDisk> disk_;
};

TEST_F(UringDiskTest, ABatchLargerThanTheRingIsDoneWhole) {
  open();
  if (IsSkipped()) return;
  AlignedBuffer memory;
  const std::span<std::byte> data = memory.take(kBytes);
  std::ranges::copy(pattern(kBytes, 1), data.begin());
  std::vector<DiskTransfer> batch;
  constexpr size_t kPiece = 2048;
  for (uint64_t at = 0; at < kBytes; at += kPiece) {
    batch.push_back({.write = true, .offset = at, .data = data.subspan(at, kPiece)});
  }
  disk_->transfer(batch);
  for (const DiskTransfer& one : batch) EXPECT_EQ(one.status, DiskStatus::kOk);
  EXPECT_EQ(disk_->flush(), DiskStatus::kOk);
  EXPECT_EQ(content(), pattern(kBytes, 1));
  std::ranges::fill(data, std::byte{0});
  for (DiskTransfer& one : batch) one.write = false;
  disk_->transfer(batch);
  EXPECT_TRUE(std::ranges::equal(data, pattern(kBytes, 1)));
}

TEST_F(UringDiskTest, MemoryOfAnyAlignmentIsTaken) {
  open();
  if (IsSkipped()) return;
  const std::vector<std::byte> data = pattern(3 * kSectorBytes + 3, 2);
  std::array<DiskTransfer, 3> batch;
  std::vector<std::byte> written = data;
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i] = {.write = true,
                .offset = 512 * i,
                .data = std::span(written).subspan(i * 513, kSectorBytes)};
  }
  disk_->transfer(batch);
  const std::vector<std::byte> held = content();
  for (size_t i = 0; i < batch.size(); ++i) {
    EXPECT_EQ(batch[i].status, DiskStatus::kOk);
    EXPECT_TRUE(std::equal(batch[i].data.begin(), batch[i].data.end(),
                           held.begin() + static_cast<ptrdiff_t>(512 * i)));
  }
  std::vector<std::byte> read(kSectorBytes + 1);
  EXPECT_EQ(disk_->read(512, std::span(read).subspan(1)), DiskStatus::kOk);
  EXPECT_TRUE(std::equal(read.begin() + 1, read.end(), data.begin() + 513));
}

TEST_F(UringDiskTest, WhatIsBeyondTheEndOrReadOnlyIsAnErrorOfThatTransferAlone) {
  open(FileDisk::Mode::kReadOnly);
  if (IsSkipped()) return;
  AlignedBuffer memory;
  const std::span<std::byte> data = memory.take(3 * kSectorBytes);
  std::array<DiskTransfer, 3> batch{
      DiskTransfer{.write = false, .offset = kBytes, .data = data.first(512)},
      DiskTransfer{.write = false, .offset = 0, .data = data.subspan(512, 512)},
      DiskTransfer{.write = true, .offset = 0, .data = data.subspan(1024, 512)}};
  disk_->transfer(batch);
  EXPECT_EQ(batch[0].status, DiskStatus::kError);
  EXPECT_EQ(batch[1].status, DiskStatus::kOk);
  EXPECT_EQ(batch[2].status, DiskStatus::kError);
}

TEST_F(UringDiskTest, SaysWhyThePageCacheIsInBetween) {
  open();
  if (IsSkipped()) return;
  const int direct = ::open(path_.c_str(), O_RDONLY | O_DIRECT);
  if (direct < 0) {
    EXPECT_NE(disk_->cached_because(), "");
  } else {
    close(direct);
    EXPECT_TRUE(disk_->cached_because().empty() ||
                disk_->cached_because().starts_with("its sectors"));
  }
  disk_ = UringDisk::open("/no/such/image", FileDisk::Mode::kReadWrite, error_);
  EXPECT_EQ(disk_, nullptr);
  EXPECT_EQ(error_, "/no/such/image: No such file or directory");
}

class FaultyDiskTest : public testing::Test {
 protected:
  void write(uint64_t sector, size_t sectors, unsigned seed) {
    ASSERT_EQ(disk_.write(sector * 512, pattern(sectors * 512, seed)), DiskStatus::kOk);
  }
  /// The seed of the pattern that a sector of a write of two holds.
  bool holds(uint64_t sector, size_t part, unsigned seed) {
    const std::vector<std::byte> two = pattern(1024, seed);
    return std::equal(two.begin() + static_cast<ptrdiff_t>(part * 512),
                      two.begin() + static_cast<ptrdiff_t>(part * 512 + 512),
                      memory_->bytes().begin() + static_cast<ptrdiff_t>(sector * 512));
  }

  std::shared_ptr<MemoryDisk> memory_ = std::make_shared<MemoryDisk>(16);
  FaultyDisk disk_{memory_};
};

TEST_F(FaultyDiskTest, ACutTearsWritesAndKeepsWhatWasFlushed) {
  write(0, 2, 1);
  ASSERT_EQ(disk_.flush(), DiskStatus::kOk);
  EXPECT_EQ(disk_.cached(), 0u);
  write(0, 2, 2);
  write(0, 2, 3);
  EXPECT_EQ(disk_.cached(), 2u);
  uint64_t next = 0;
  disk_.cut_power([&](uint64_t bound) {
    EXPECT_EQ(bound, 3u);
    return next++;
  });
  EXPECT_TRUE(holds(0, 0, 1));  // old
  EXPECT_TRUE(holds(1, 1, 2));  // in between
  disk_.cut_power([](uint64_t) -> uint64_t {
    ADD_FAILURE() << "nothing is cached";
    return 0;
  });
}

TEST_F(FaultyDiskTest, AFailedTransferLeavesTheDiskAndTheOthersAlone) {
  disk_.set_faults({.before = {}, .fail_at = 2, .order = {}});
  std::vector<std::byte> data = pattern(1024, 5);
  std::array<DiskTransfer, 3> batch;
  for (size_t i = 0; i < batch.size(); ++i) batch[i] = {true, 1024 * i, data};
  disk_.transfer(batch);
  EXPECT_EQ(batch[0].status, DiskStatus::kOk);
  EXPECT_EQ(batch[1].status, DiskStatus::kError);
  EXPECT_EQ(batch[2].status, DiskStatus::kOk);
  EXPECT_TRUE(holds(0, 0, 5));
  EXPECT_FALSE(holds(2, 0, 5));
  EXPECT_TRUE(holds(4, 0, 5));
}

TEST_F(FaultyDiskTest, ABatchIsDoneInTheOrderedOrder) {
  unsigned waits = 0;
  disk_.set_faults({.before = [&] { ++waits; }, .fail_at = 0, .order = [](uint64_t) { return 0; }});
  std::vector<std::byte> first = pattern(1024, 6);
  std::vector<std::byte> second = pattern(1024, 7);
  std::array<DiskTransfer, 2> batch{DiskTransfer{true, 0, first}, DiskTransfer{true, 0, second}};
  disk_.transfer(batch);
  EXPECT_TRUE(holds(0, 0, 6));
  EXPECT_EQ(waits, 2u);
}

TEST(NullDiskTest, IsFullOfZeroes) {
  NullDisk disk(8);
  EXPECT_EQ(disk.size(), 4096u);
  std::vector<std::byte> data = pattern(512, 1);
  EXPECT_EQ(disk.write(0, data), DiskStatus::kOk);
  EXPECT_EQ(disk.read(0, data), DiskStatus::kOk);
  EXPECT_TRUE(std::ranges::all_of(data, [](std::byte one) { return one == std::byte{0}; }));
}

}  // namespace
}  // namespace ringside::backends
