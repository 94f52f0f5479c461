#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "conformance/blkif/disk_stack.hpp"

namespace ringside::conformance {

/// Writes and reads at random places and of random shapes; what each sector must hold is
/// remembered.
class RandomLoad {
 public:
  RandomLoad(DiskStack& stack, uint64_t seed)
      : stack_(stack), random_(seed), model_(stack.disk->size()) {}

  /// Submits `count` requests, each on any queue, that don't overlap those still under way.
  void submit(unsigned count) {
    for (unsigned i = 0; i < count; ++i) submit_one();
  }
  /// All that was submitted is done and every byte is where it belongs.
  void expect_right() {
    ASSERT_TRUE(stack_.wait_for(stack_.client.completions() + waiting()));
    for (const Read& read : reads_) {
      EXPECT_EQ(stack_.client.status(read.test->request.cookie), Status::kOk);
      EXPECT_EQ(read.test->bytes(), read.expected) << "sector " << read.test->request.sector;
    }
    reads_.clear();
    taken_.clear();
    expected_ = stack_.client.completions();
    EXPECT_TRUE(std::equal(model_.begin(), model_.end(), stack_.disk->bytes().begin()));
  }

 private:
  struct Read {
    TestRequest* test;
    std::vector<std::byte> expected;
  };

  /// Of what places and lengths are multiples, in sectors of the protocol.
  uint64_t unit() const { return stack_.config.profile.sector_size / backends::kSectorBytes; }
  size_t waiting() const { return expected_ - stack_.client.completions(); }

  void submit_one() {
    const bool write = random_.chance(0.5);
    const uint64_t place = random_.below(stack_.disk->size() / backends::kSectorBytes - 520);
    const uint64_t sector = place - place % unit();
    TestRequest& test =
        stack_.make(write ? xenvbd::Operation::kWrite : xenvbd::Operation::kRead, sector);
    stack_.guest->run([&] { shape(test); });
    const uint64_t end = sector + test.request.sectors;
    for (const auto& [first, last] : taken_) {
      if (sector < last && first < end) return;  // order among overlapping ones is nobody's
    }
    taken_.emplace_back(sector, end);
    const auto at = model_.begin() + static_cast<ptrdiff_t>(sector * backends::kSectorBytes);
    const size_t size = test.request.sectors * backends::kSectorBytes;
    if (write) {
      const auto bytes = pattern(size, static_cast<uint32_t>(random_.next()));
      std::copy(bytes.begin(), bytes.end(), at);
      test.set_bytes(bytes);
    } else {
      reads_.push_back({&test, {at, at + static_cast<ptrdiff_t>(size)}});
    }
    stack_.submitted(test, static_cast<unsigned>(random_.below((*stack_.vbd)->queue_count())));
    ++expected_;
  }

  void shape(TestRequest& test) {
    if (random_.chance(0.3)) {
      const auto offset = static_cast<uint32_t>(1 + random_.below(1000));
      test.add(offset, 1024).add(3, 1021).add(0, 3);
      if (unit() > 1) test.add(2000, 2048);
    } else if (random_.chance(0.3)) {
      test.add(512, 3584).add_pages(static_cast<unsigned>(random_.below(4))).add(0, 512);
    } else {
      test.add_pages(static_cast<unsigned>(1 + random_.below(60)));
    }
  }

  DiskStack& stack_;
  sim::Random random_;
  std::vector<std::byte> model_;
  std::vector<Read> reads_;
  std::vector<std::pair<uint64_t, uint64_t>> taken_;
  size_t expected_ = 0;
};

}  // namespace ringside::conformance
