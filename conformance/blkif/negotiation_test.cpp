#include <gtest/gtest.h>

#include "conformance/blkif/queue_rig.hpp"
#include "protocols/xenvbd/wire.hpp"

namespace ringside::conformance {
namespace {

/// The front end reading and writing a store without a back end behind it.
class BlkifNodesTest : public QueueRig {
 protected:
  BlkifNodesTest() { set("sectors", "2048"); }
  void set(const std::string& key, const std::string& value) { store_.nodes["be/" + key] = value; }
  xenbus::Node backend() { return {store_, xenbus::kNoTransaction, "be"}; }
  xenvbd::Disk read() {
    const auto disk = xenvbd::read_disk(backend());
    EXPECT_TRUE(disk) << to_string(disk.status());
    return disk ? *disk : xenvbd::Disk{};
  }
  void publish_nodes(uint32_t order) {
    connect(order);
    const xenbus::Node frontend(store_, xenbus::kNoTransaction, "fe");
    ASSERT_EQ(queue_->publish_ring_size(frontend), Status::kOk);
    ASSERT_EQ(queue_->publish(frontend), Status::kOk);
  }
  std::string node(const std::string& key) {
    const auto found = store_.nodes.find("fe/" + key);
    return found == store_.nodes.end() ? "absent" : found->second;
  }
};

TEST_F(BlkifNodesTest, BLKIF_NEG_001_WhatIsNotThereHasItsDefault) {
  set("sector-size", "4096");
  set("feature-discard", "1");
  const xenvbd::Disk disk = read();
  EXPECT_EQ(disk.sectors, 2048u);
  EXPECT_EQ(disk.physical_sector_size, 4096u);
  EXPECT_EQ(disk.flush_mode(), xenvbd::FlushMode::kNone);
  EXPECT_EQ(disk.max_indirect_segments, 0u);
  EXPECT_TRUE(disk.discard.supported) << "discard-enable is 1 when absent";
  EXPECT_EQ(disk.discard.granularity, 4096u);
  EXPECT_EQ(disk.discard.alignment, 0u);
  EXPECT_FALSE(disk.discard.secure);
  EXPECT_FALSE(disk.read_only);
  EXPECT_EQ(*xenvbd::read_ring_page_order(backend()), 0u);
}

TEST_F(BlkifNodesTest, BLKIF_NEG_001_WhatCannotBeReadIsNotAbsent) {
  set("feature-discard", "1");
  set("max-ring-page-order", "2");
  for (const char* key : {"sectors", "sector-size", "feature-discard", "discard-enable",
                          "feature-flush-cache", "feature-max-indirect-segments"}) {
    store_.unreadable = std::string("be/") + key;
    EXPECT_EQ(xenvbd::read_disk(backend()).status(), Status::kNoMemory) << key;
  }
  store_.unreadable = "be/max-ring-page-order";
  EXPECT_EQ(xenvbd::read_ring_page_order(backend()).status(), Status::kNoMemory);
}

TEST_F(BlkifNodesTest, BLKIF_NEG_001_DiscardCanBeSwitchedOff) {
  set("feature-discard", "1");
  set("discard-enable", "0");
  EXPECT_FALSE(read().discard.supported);
}

TEST_F(BlkifNodesTest, BLKIF_NEG_001_DiscardLimitsThatMakeNoSenseAreAsIfAbsent) {
  set("feature-discard", "1");
  set("discard-granularity", "0");
  set("discard-alignment", "7");
  EXPECT_EQ(read().discard.granularity, 512u);
  EXPECT_EQ(read().discard.alignment, 0u);
}

TEST_F(BlkifNodesTest, BLKIF_NEG_002_BothSchemesNameTheSameRing) {
  publish_nodes(3);
  EXPECT_EQ(node("ring-page-order"), "3");
  EXPECT_EQ(node("num-ring-pages"), "8");
}

TEST_F(BlkifNodesTest, BLKIF_NEG_002_ANumberOfPagesThatIsNoPowerOfTwoIsRoundedDown) {
  set("max-ring-pages", "13");
  EXPECT_EQ(*xenvbd::read_ring_page_order(backend()), 3u);
}

TEST_F(BlkifNodesTest, BLKIF_NEG_003_TheLargerOfBothLimitsHolds) {
  set("max-ring-page-order", "1");
  EXPECT_EQ(*xenvbd::read_ring_page_order(backend()), 1u);
  set("max-ring-pages", "8");
  EXPECT_EQ(*xenvbd::read_ring_page_order(backend()), 3u);
  set("max-ring-page-order", "31");
  EXPECT_EQ(*xenvbd::read_ring_page_order(backend()), 4u) << "no more than 16 pages";
  set("max-ring-page-order", "0");
  set("max-ring-pages", "0");
  EXPECT_EQ(*xenvbd::read_ring_page_order(backend()), 0u);
}

TEST_F(BlkifNodesTest, BLKIF_NEG_004_OnePageHasThePlainKeyAlone) {
  publish_nodes(0);
  EXPECT_NE(node("ring-ref"), "absent");
  EXPECT_EQ(node("ring-ref0"), "absent");
  EXPECT_EQ(node("ring-page-order"), "absent");
  EXPECT_EQ(node("event-channel"), "5");
}

TEST_F(BlkifNodesTest, BLKIF_NEG_004_MorePagesHaveTheNumberedKeysAlone) {
  publish_nodes(2);
  EXPECT_EQ(node("ring-ref"), "absent");
  for (int i = 0; i < 4; ++i) EXPECT_NE(node("ring-ref" + std::to_string(i)), "absent");
  EXPECT_EQ(node("ring-ref4"), "absent");
}

TEST_F(BlkifNodesTest, BLKIF_NEG_005_TheProtocolIsThatOfTheBuild) {
  const bool wide = sizeof(void*) == 8;
  EXPECT_EQ(xenvbd::kProtocol, wide ? "x86_64-abi" : "x86_32-abi");
  EXPECT_EQ(sizeof(blkif_request_t), wide ? 112u : 108u);
}

TEST_F(BlkifNodesTest, BLKIF_NEG_007_ABackEndServesOneQueueAtLeast) {
  EXPECT_EQ(*xenvbd::read_max_queues(backend()), 1u);
  for (const auto& [text, queues] :
       {std::pair{"0", 1u}, {"1", 1u}, {"", 1u}, {"many", 1u}, {"4", 4u}, {"99999999999", ~0u}}) {
    set("multi-queue-max-queues", text);
    EXPECT_EQ(*xenvbd::read_max_queues(backend()), queues) << text;
  }
  store_.unreadable = "be/multi-queue-max-queues";
  EXPECT_EQ(xenvbd::read_max_queues(backend()).status(), Status::kNoMemory);
}

TEST_F(BlkifNodesTest, BLKIF_NEG_009_SectorSizesThatCannotBeAreRefused) {
  for (const char* size : {"0", "256", "513", "8192", "99999999999"}) {
    set("sector-size", size);
    EXPECT_EQ(xenvbd::read_disk(backend()).status(), Status::kNotSupported) << size;
  }
  set("sector-size", "4096");
  set("physical-sector-size", "512");
  EXPECT_EQ(xenvbd::read_disk(backend()).status(), Status::kPeerViolation);
  set("physical-sector-size", "16384");
  EXPECT_EQ(read().physical_sector_size, 16384u);
}

TEST_F(BlkifNodesTest, BLKIF_NEG_009_ABackEndWithoutASizeIsRefused) {
  store_.nodes.clear();
  EXPECT_EQ(xenvbd::read_disk(backend()).status(), Status::kPeerViolation);
}

TEST_F(BlkifNodesTest, BLKIF_NEG_026_TheInfoBits) {
  set("info", "7");
  EXPECT_TRUE(read().cdrom && read().removable && read().read_only);
  set("info", "4");
  EXPECT_TRUE(!read().cdrom && !read().removable && read().read_only);
  set("info", "248");
  EXPECT_TRUE(!read().cdrom && !read().removable && !read().read_only);
}

TEST_F(BlkifNodesTest, BLKIF_IO_035_ASizeBeyond32Bits) {
  set("sectors", "1099511627776");
  EXPECT_EQ(read().sectors, uint64_t{1} << 40);
}

TEST_F(BlkifNodesTest, BLKIF_NEG_032_NothingOfAnEarlierBackEndStays) {
  for (const char* key : {"feature-flush-cache", "feature-barrier", "feature-discard",
                          "discard-secure", "feature-persistent"}) {
    set(key, "1");
  }
  set("feature-max-indirect-segments", "256");
  EXPECT_EQ(read().max_indirect_segments, 256u);
  EXPECT_TRUE(read().persistent);
  store_.nodes.clear();
  set("sectors", "2048");
  xenvbd::Disk plain;
  plain.sectors = 2048;
  plain.discard.granularity = 512;
  EXPECT_EQ(read(), plain);
}

}  // namespace
}  // namespace ringside::conformance
