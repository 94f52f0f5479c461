#include <algorithm>

#include "conformance/blkif/queue_rig.hpp"
#include "conformance/blkif/random_load.hpp"

namespace ringside::conformance {
namespace {

/// A front end that does not trust its back end. Parameter: whether grants are kept.
class BlkifTrustTest : public QueueRig, public ::testing::WithParamInterface<bool> {
 protected:
  BlkifTrustTest() {
    terms_.trusted = false;
    terms_.persistent = disk_.persistent = GetParam();
  }
  /// Client memory that is full of what the peer must not see.
  TestRequest& secretive(Operation operation, uint32_t offset, uint32_t length) {
    TestRequest& test = make(operation, 0).add(offset, length);
    std::memset(test.page(0).address, 0xee, platform::kPageSize);
    return test;
  }
  void expect_zero_but(const blkif_request_segment& segment, uint8_t content) {
    const std::byte* page = grants_.page(segment.gref);
    ASSERT_NE(page, nullptr);
    for (size_t i = 0; i < platform::kPageSize; ++i) {
      const size_t sector = i / 512;
      const bool named = sector >= segment.first_sect && sector <= segment.last_sect;
      ASSERT_EQ(page[i], std::byte{named ? content : uint8_t{0}}) << "byte " << i;
    }
  }
};

TEST_P(BlkifTrustTest, BLKIF_IO_038_AWriteShowsItsSectorsAndNoByteMore) {
  connect();
  for (const auto& [offset, length] :
       {std::pair{0u, 4096u}, {512u, 1024u}, {3584u, 512u}, {5u, 512u}, {0u, 3584u}}) {
    TestRequest& test = submitted(secretive(Operation::kWrite, offset, length));
    const auto request = take();
    ASSERT_EQ(request->nr_segments, 1);
    EXPECT_NE(grants_.page(request->seg[0].gref), test.page(0).address);
    expect_zero_but(request->seg[0], 0xee);
    answer(*request);
  }
  expect_settled();
}

TEST_P(BlkifTrustTest, BLKIF_IO_038_AReadShowsNothingOfWhatWasInItsMemory) {
  connect();
  submitted(secretive(Operation::kWrite, 0, 4096));
  answer(*take());
  TestRequest& test = submitted(secretive(Operation::kRead, 512, 1024));
  const auto request = take();
  expect_zero_but(request->seg[0], 0);
  std::memset(grants_.page(request->seg[0].gref), 0x42, platform::kPageSize);
  answer(*request);
  const std::byte* memory = test.page(0).address;
  EXPECT_EQ(memory[511], std::byte{0xee});
  EXPECT_EQ(memory[512], std::byte{0x42});
  EXPECT_EQ(memory[1535], std::byte{0x42});
  EXPECT_EQ(memory[1536], std::byte{0xee}) << "what it wrote beyond the sectors goes nowhere";
  expect_settled();
}

TEST_P(BlkifTrustTest, BLKIF_IO_038_NoPageOfTheClientIsEverGranted) {
  disk_.max_indirect_segments = 64;
  connect(1);
  TestRequest& write = make_pages(Operation::kWrite, 64, 150);
  const auto data = pattern(150 * 4096, 3);
  write.set_bytes(data);
  submitted(write);
  for (size_t i = 0; i < 150; ++i) EXPECT_FALSE(grants_.any_of(write.page(i).frame));
  serve();
  EXPECT_TRUE(std::equal(data.begin(), data.end(), image_.begin() + 64 * 512));
  TestRequest& read = submitted(Operation::kRead, 64, 150);
  for (size_t i = 0; i < 150; ++i) EXPECT_FALSE(grants_.any_of(read.page(i).frame));
  serve();
  EXPECT_EQ(read.bytes(), data);
  EXPECT_EQ(queue_->statistics().bounced, queue_->statistics().segments);
  expect_settled();
}

INSTANTIATE_TEST_SUITE_P(Kept, BlkifTrustTest, ::testing::Bool());

class BlkifTrustedNodeTest : public ::testing::TestWithParam<const char*> {};

// The toolstack says it in the front end's directory.
TEST_P(BlkifTrustedNodeTest, BLKIF_IO_038_TheTrustedNodeDecides) {
  for (const char* trusted : {"0", "1", "absent"}) {
    DiskStack stack(blkback_named(GetParam()));
    stack.settings = {{"FrontendPersistentGrants", 0}};
    stack.vbd_config.trusted = trusted == std::string("1");
    stack.attach();
    if (trusted == std::string("absent")) {
      stack.host.toolstack().remove(stack.vbd->paths().frontend + "/trusted");
    }
    ASSERT_TRUE(stack.vbd->connect());
    EXPECT_EQ(stack.frontend_node("trusted"), trusted) << "the toolstack's own";
    RandomLoad load(stack, stack.host.world().seed());
    load.submit(30);
    load.expect_right();
    const auto& statistics = stack.queue().statistics();
    EXPECT_EQ(statistics.bounced == statistics.segments, trusted == std::string("0"));
  }
}

INSTANTIATE_TEST_SUITE_P(Profiles, BlkifTrustedNodeTest,
                         ::testing::Values("linux", "linux3", "classic", "qdisk", "tapdisk",
                                           "freebsd"));

}  // namespace
}  // namespace ringside::conformance
