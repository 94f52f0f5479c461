#include "conformance/blkif/raw_front.hpp"
#include "conformance/rig/vbd_device.hpp"

namespace ringside::conformance {
namespace {

/// The reference blkback and the grants of a front end that uses them again, or says so.
class BlkifKeptGrantsTest : public ::testing::Test {
 protected:
  BlkifKeptGrantsTest() {
    config_.profile = *backends::find_blkback_profile("linux");
    config_.open_disk = [](const backends::VbdIdentity&, std::string&) {
      return std::make_shared<backends::MemoryDisk>(1024);
    };
  }
  ~BlkifKeptGrantsTest() override {
    EXPECT_TRUE(front_->failed() || front_->close());
    front_.reset();
    host_.toolstack().force_detach(paths_);
    for (const std::string& leak : guest_->shut_down()) ADD_FAILURE() << leak;
    guest_.reset();
    blkback_.reset();
    for (const std::string& leak : host_.audit()) ADD_FAILURE() << leak;
  }

  bool connect(const std::vector<std::pair<std::string, std::string>>& nodes) {
    blkback_ = start_blkback(host_, config_);
    guest_ = std::make_unique<DriverGuest>(host_);
    paths_ = host_.toolstack().attach_vbd(guest_->domid());
    front_ = std::make_unique<RawFront<>>(*guest_, paths_);
    front_->extra_nodes = nodes;
    return front_->connect();
  }
  /// Why the back end did not want the connection.
  std::string refusal() {
    const size_t backend = paths_.backend.find("/backend/");
    const std::string home = paths_.backend.substr(0, backend);
    return host_.toolstack()
        .read(home + "/error" + paths_.backend.substr(backend) + "/error")
        .value_or("none");
  }
  bool connect_persistent() { return connect({{"feature-persistent", "1"}}); }
  backends::BlkbackStatistics statistics() {
    return (*blkback_)->statistics(guest_->domid(), sim::VbdConfig{}.vdev);
  }
  int use(const RawFront<>::Granted& page, uint8_t operation = BLKIF_OP_READ) {
    return front_->status_of(front_->request(operation, 0, page.ref));
  }

  Host host_;
  backends::Blkback::Config config_;
  sim::DevicePaths paths_;
  std::unique_ptr<BlkbackActor> blkback_;
  std::unique_ptr<DriverGuest> guest_;
  std::unique_ptr<RawFront<>> front_;
};

TEST_F(BlkifKeptGrantsTest, BLKIF_IO_023_AGrantIsMappedOnceAndStays) {
  ASSERT_TRUE(connect_persistent());
  const auto page = front_->grant();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(use(page, i % 2 == 0 ? BLKIF_OP_WRITE : BLKIF_OP_READ), BLKIF_RSP_OKAY);
  }
  EXPECT_EQ(statistics().kept, 1u);
  EXPECT_EQ(front_->revoke(page), Status::kBusy);
}

TEST_F(BlkifKeptGrantsTest, BLKIF_IO_024_NothingStaysMappedBehindTheConnection) {
  ASSERT_TRUE(connect_persistent());
  std::vector<RawFront<>::Granted> pages;
  for (int i = 0; i < 12; ++i) {
    pages.push_back(front_->grant());
    EXPECT_EQ(use(pages.back()), BLKIF_RSP_OKAY);
  }
  EXPECT_TRUE(front_->close());
  for (const auto& page : pages) EXPECT_EQ(front_->revoke(page), Status::kOk);
}

TEST_F(BlkifKeptGrantsTest, BLKIF_IO_023_WhatWasUsedLongestAgoMakesRoom) {
  config_.profile.max_persistent = 2;
  ASSERT_TRUE(connect_persistent());
  const auto a = front_->grant();
  const auto b = front_->grant();
  const auto c = front_->grant();
  for (const auto& page : {a, b, a, c}) EXPECT_EQ(use(page), BLKIF_RSP_OKAY);
  EXPECT_EQ(statistics().evicted, 1u);
  EXPECT_EQ(front_->revoke(b), Status::kOk);
  EXPECT_EQ(front_->revoke(a), Status::kBusy);
  EXPECT_EQ(front_->revoke(c), Status::kBusy);
}

TEST_F(BlkifKeptGrantsTest, BLKIF_IO_023_MoreThanAreKeptAreServedAllTheSame) {
  config_.profile.max_persistent = 2;
  ASSERT_TRUE(connect_persistent());
  std::vector<RawFront<>::Granted> pages;
  auto request = front_->request(BLKIF_OP_READ, 0, 0);
  request.nr_segments = 5;
  for (unsigned i = 0; i < 5; ++i) {
    pages.push_back(front_->grant());
    request.seg[i] = {.gref = pages[i].ref, .first_sect = 0, .last_sect = 7};
  }
  EXPECT_EQ(front_->status_of(request), BLKIF_RSP_OKAY);
  EXPECT_EQ(statistics().kept, 2u);
  unsigned free = 0;
  for (const auto& page : pages) free += ok(front_->revoke(page)) ? 1 : 0;
  EXPECT_EQ(free, 3u);
}

TEST_F(BlkifKeptGrantsTest, BLKIF_IO_034_AGrantThatCannotBeKeptFailsItsOwnRequestAlone) {
  ASSERT_TRUE(connect_persistent());
  const auto good = front_->grant();
  auto request = front_->request(BLKIF_OP_WRITE, 0, good.ref);
  request.nr_segments = 2;
  request.seg[1] = {.gref = 4000, .first_sect = 0, .last_sect = 7};
  EXPECT_EQ(front_->status_of(request), BLKIF_RSP_ERROR);
  const auto read_only = front_->grant(xenbus::Access::kReadOnly);
  EXPECT_EQ(use(read_only, BLKIF_OP_WRITE), BLKIF_RSP_ERROR);
  EXPECT_EQ(use(good), BLKIF_RSP_OKAY);
}

TEST_F(BlkifKeptGrantsTest, BLKIF_IO_023_NothingIsKeptOfWhoDoesNotUseItAgain) {
  ASSERT_TRUE(connect({}));
  const auto page = front_->grant();
  EXPECT_EQ(use(page), BLKIF_RSP_OKAY);
  EXPECT_EQ(statistics().kept, 0u);
  EXPECT_EQ(front_->revoke(page), Status::kOk);
}

TEST_F(BlkifKeptGrantsTest, BLKIF_NEG_007_MoreQueuesThanOfferedAreRefused) {
  EXPECT_FALSE(connect({{"multi-queue-num-queues", "5"}}));
  EXPECT_EQ(refusal(), "multi-queue-num-queues is 5");
}

TEST_F(BlkifKeptGrantsTest, BLKIF_NEG_007_NoQueueAtAllIsRefused) {
  EXPECT_FALSE(connect({{"multi-queue-num-queues", "0"}}));
  EXPECT_EQ(refusal(), "multi-queue-num-queues is 0");
}

// BLKIF-NEG-006: the keys of several queues are looked for where they have to be.
TEST_F(BlkifKeptGrantsTest, BLKIF_NEG_006_QueuesWithoutTheirDirectoriesAreRefused) {
  EXPECT_FALSE(connect({{"multi-queue-num-queues", "2"}}));
  EXPECT_EQ(refusal(), "reading " + paths_.frontend + "/queue-0/ring-ref0");
}

}  // namespace
}  // namespace ringside::conformance
