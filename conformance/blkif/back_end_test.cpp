#include <array>

#include "conformance/blkif/raw_front.hpp"
#include "conformance/rig/vbd_device.hpp"
#include "protocols/platform/blkif_abi.hpp"

namespace ringside::conformance {
namespace {

/// The reference blkback and a front end that keeps to no rule. Parameter: the profile.
class BlkifBackEndTest : public ::testing::TestWithParam<const char*> {
 protected:
  BlkifBackEndTest() {
    config_.profile = *backends::find_blkback_profile(GetParam());
    config_.open_disk = [this](const backends::VbdIdentity&, std::string&) { return disk_; };
  }
  ~BlkifBackEndTest() override {
    if (front_) {
      EXPECT_TRUE(front_->failed() || front_->close());
    }
    front_.reset();
    host_.toolstack().force_detach(paths_);
    for (const std::string& leak : guest_->shut_down()) ADD_FAILURE() << leak;
    guest_.reset();
    blkback_.reset();
    for (const std::string& leak : host_.audit()) ADD_FAILURE() << leak;
  }

  void attach() {
    blkback_ = start_blkback(host_, config_);
    guest_ = std::make_unique<DriverGuest>(host_);
    paths_ = host_.toolstack().attach_vbd(guest_->domid(), vbd_config_);
  }
  void make_front() {
    attach();
    front_ = std::make_unique<RawFront<>>(*guest_, paths_);
  }
  void connect() {
    make_front();
    ASSERT_TRUE(front_->connect());
  }
  backends::BlkbackStatistics statistics() {
    return (*blkback_)->statistics(guest_->domid(), vbd_config_.vdev);
  }
  /// After all that a request as it should be works.
  void expect_alive() {
    const auto page = front_->grant();
    EXPECT_EQ(front_->status_of(front_->request(BLKIF_OP_READ, 0, page.ref)), BLKIF_RSP_OKAY);
  }

  Host host_;
  std::shared_ptr<backends::MemoryDisk> disk_ = std::make_shared<backends::MemoryDisk>(1024);
  backends::Blkback::Config config_;
  sim::VbdConfig vbd_config_;
  sim::DevicePaths paths_;
  std::unique_ptr<BlkbackActor> blkback_;
  std::unique_ptr<DriverGuest> guest_;
  std::unique_ptr<RawFront<>> front_;
};

TEST_P(BlkifBackEndTest, BLKIF_IO_011_SegmentCountsThatCannotBeAreErrors) {
  connect();
  const auto page = front_->grant();
  for (const uint8_t count : std::to_array<uint8_t>({0, 12, 255})) {
    auto request = front_->request(BLKIF_OP_READ, 0, page.ref);
    request.nr_segments = count;
    EXPECT_EQ(front_->status_of(request), BLKIF_RSP_ERROR) << int{count};
  }
  expect_alive();
}

TEST_P(BlkifBackEndTest, BLKIF_IO_012_SectorsOutsideThePageAreErrors) {
  connect();
  const auto page = front_->grant();
  const std::pair<uint8_t, uint8_t> bad[] = {{3, 2}, {0, 8}, {8, 8}, {0, 255}, {255, 0}};
  for (const auto& [first, last] : bad) {
    auto request = front_->request(BLKIF_OP_READ, 0, page.ref);
    request.seg[0].first_sect = first;
    request.seg[0].last_sect = last;
    EXPECT_EQ(front_->status_of(request), BLKIF_RSP_ERROR) << int{first} << ".." << int{last};
  }
  expect_alive();
}

TEST_P(BlkifBackEndTest, BLKIF_IO_014_UnknownOperationsAreNotSupported) {
  connect();
  for (const uint8_t operation : std::to_array<uint8_t>({4, 7, 99, 255})) {
    EXPECT_EQ(front_->status_of(front_->request(operation, 0, 0)), BLKIF_RSP_EOPNOTSUPP);
  }
  const auto& profile = config_.profile;
  auto flush = front_->request(BLKIF_OP_FLUSH_DISKCACHE, 0, 0);
  flush.nr_segments = 0;
  EXPECT_EQ(front_->status_of(flush), profile.flush_cache ? BLKIF_RSP_OKAY : BLKIF_RSP_EOPNOTSUPP);
  auto barrier = front_->request(BLKIF_OP_WRITE_BARRIER, 0, 0);
  barrier.nr_segments = 0;
  EXPECT_EQ(front_->status_of(barrier), profile.barrier ? BLKIF_RSP_OKAY : BLKIF_RSP_EOPNOTSUPP);
  expect_alive();
}

TEST_P(BlkifBackEndTest, RING_014_PaddingOfResponsesIsZero) {
  connect();
  const auto page = front_->grant();
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(front_->status_of(front_->request(BLKIF_OP_READ, i, page.ref)), BLKIF_RSP_OKAY);
    const auto slot = front_->area().bytes().subspan(ring::kHeaderSize + i * 112, 16);
    EXPECT_EQ(slot[offsetof(blkif_response_t, operation) + 1], std::byte{0});
    for (size_t at = offsetof(blkif_response_t, status) + 2; at < slot.size(); ++at) {
      EXPECT_EQ(slot[at], std::byte{0}) << "response " << i << ", byte " << at;
    }
  }
}

TEST_P(BlkifBackEndTest, BLKIF_IO_015_ABarrierWithDataIsWrittenAndFlushed) {
  connect();
  if (!config_.profile.barrier) return;
  const auto page = front_->grant();
  std::memset(page.page.address, 0x5a, 4096);
  EXPECT_EQ(front_->status_of(front_->request(BLKIF_OP_WRITE_BARRIER, 8, page.ref)),
            BLKIF_RSP_OKAY);
  EXPECT_EQ(disk_->bytes()[8 * 512], std::byte{0x5a});
  EXPECT_EQ(disk_->flushes(), 2u) << "before and after";
}

TEST_P(BlkifBackEndTest, BLKIF_IO_019_BLKIF_IO_030_PastTheEndIsAnErrorAndTransfersNothing) {
  connect();
  const auto page = front_->grant();
  std::memset(page.page.address, 0x77, 4096);
  for (const uint64_t sector : {uint64_t{1017}, uint64_t{1024}, ~uint64_t{0}, ~uint64_t{6}}) {
    EXPECT_EQ(front_->status_of(front_->request(BLKIF_OP_WRITE, sector, page.ref)),
              BLKIF_RSP_ERROR);
    EXPECT_EQ(front_->status_of(front_->request(BLKIF_OP_READ, sector, page.ref)), BLKIF_RSP_ERROR);
  }
  EXPECT_EQ(disk_->bytes()[1023 * 512], std::byte{0});
  EXPECT_EQ(page.page.address[0], std::byte{0x77});
  if (config_.profile.discard) {
    blkif_request_discard_t discard{};
    discard.operation = BLKIF_OP_DISCARD;
    discard.id = 5;
    discard.sector_number = 8;
    for (const uint64_t count : {uint64_t{1017}, ~uint64_t{0}, ~uint64_t{7}}) {
      discard.nr_sectors = count;
      EXPECT_EQ(front_->status_of(discard), BLKIF_RSP_ERROR);
    }
  }
  EXPECT_EQ(disk_->discards(), 0u);
  expect_alive();
}

TEST_P(BlkifBackEndTest, BLKIF_IO_020_IndirectRequestsThatCannotBeAreErrors) {
  connect();
  const auto segments = front_->grant();
  const auto data = front_->grant();
  const uint32_t limit = config_.profile.max_indirect_segments;
  const blkif_request_segment one{.gref = data.ref, .first_sect = 0, .last_sect = 0};
  for (size_t i = 0; i < 512; ++i) {
    std::memcpy(segments.page.address + i * sizeof(one), &one, sizeof(one));
  }
  blkif_request_indirect_t wire{};
  wire.operation = BLKIF_OP_INDIRECT;
  wire.indirect_op = BLKIF_OP_READ;
  wire.nr_segments = 20;
  wire.id = 7;
  wire.indirect_grefs[0] = segments.ref;
  // To who never offered it, it is an operation like any unknown one.
  const int refused = limit > 0 ? BLKIF_RSP_ERROR : BLKIF_RSP_EOPNOTSUPP;
  EXPECT_EQ(front_->status_of(wire), limit > 0 ? BLKIF_RSP_OKAY : refused);
  for (const uint32_t count : {uint32_t{0}, limit + 1, uint32_t{65535}}) {
    wire.nr_segments = static_cast<uint16_t>(count);
    EXPECT_EQ(front_->status_of(wire), refused) << count;
  }
  wire.nr_segments = 20;
  wire.indirect_grefs[0] = 4000;
  EXPECT_EQ(front_->status_of(wire), refused) << "a page that was not granted";
  wire.indirect_grefs[0] = segments.ref;
  for (const uint8_t nested :
       std::to_array<uint8_t>({BLKIF_OP_INDIRECT, BLKIF_OP_DISCARD, BLKIF_OP_FLUSH_DISKCACHE})) {
    wire.indirect_op = nested;
    EXPECT_NE(front_->status_of(wire), BLKIF_RSP_OKAY) << int{nested};
  }
  expect_alive();
}

TEST_P(BlkifBackEndTest, BLKIF_NEG_026_WritesToAReadOnlyDiskAreErrors) {
  vbd_config_.mode = "r";
  connect();
  const auto page = front_->grant();
  EXPECT_EQ(front_->status_of(front_->request(BLKIF_OP_WRITE, 0, page.ref)), BLKIF_RSP_ERROR);
  expect_alive();
}

TEST_P(BlkifBackEndTest, BLKIF_IO_034_ABadReferenceFailsItsOwnRequestAlone) {
  connect();
  const auto page = front_->grant();
  const auto read_only = front_->grant(xenbus::Access::kReadOnly);
  auto request = front_->request(BLKIF_OP_WRITE, 0, page.ref);
  request.nr_segments = 2;
  request.seg[1] = {.gref = 4000, .first_sect = 0, .last_sect = 7};
  std::memset(page.page.address, 0x33, 4096);
  EXPECT_EQ(front_->status_of(request), BLKIF_RSP_ERROR);
  EXPECT_EQ(disk_->bytes()[0], std::byte{0}) << "nor was the good half written";
  EXPECT_EQ(front_->status_of(front_->request(BLKIF_OP_READ, 0, ~0u)), BLKIF_RSP_ERROR);
  EXPECT_EQ(front_->status_of(front_->request(BLKIF_OP_READ, 0, read_only.ref)), BLKIF_RSP_ERROR);
  expect_alive();
}

TEST_P(BlkifBackEndTest, BLKIF_NEG_003_ALargerRingThanOfferedIsRefused) {
  config_.profile.max_ring_page_order = 1;
  make_front();
  front_->ring_order = 2;
  EXPECT_FALSE(front_->connect());
}

TEST_P(BlkifBackEndTest, BLKIF_NEG_005_AnUnknownProtocolIsRefused) {
  make_front();
  front_->extra_nodes = {{"protocol", "vax-abi"}};
  EXPECT_FALSE(front_->connect());
}

// RING-008 seen from the other side.
TEST_P(BlkifBackEndTest, RING_008_AFrontEndWhoseIndicesCannotBeIsClosed) {
  connect();
  guest_->run([this] {
    ring::SharedView view(front_->area().bytes());
    view.store_release(ring::kReqProd, 12345);
  });
  (*blkback_).wake();
  EXPECT_TRUE(host_.run_until([this] { return front_->failed(); }));
  EXPECT_EQ(statistics().violations, 1u);
}

TEST_P(BlkifBackEndTest, BLKIF_NEG_005_A32BitFrontEndIsUnderstood) {
  namespace abi = platform::x86_32;
  attach();
  {
    RawFront<abi::BlkifRequest, abi::BlkifResponse> front(*guest_, paths_);
    front.extra_nodes = {{"protocol", "x86_32-abi"}};
    ASSERT_TRUE(front.connect());
    const auto page = front.grant();
    std::memset(page.page.address, 0x5a, 4096);
    for (unsigned i = 0; i < 70; ++i) {  // twice around the ring
      EXPECT_EQ(front.status_of(front.request(BLKIF_OP_WRITE, i, page.ref)), BLKIF_RSP_OKAY);
    }
    EXPECT_EQ(disk_->bytes()[76 * 512], std::byte{0x5a});
    EXPECT_EQ(disk_->bytes()[77 * 512], std::byte{0});
    EXPECT_TRUE(front.close());
  }
}

// As drivers/td-req.c of blktap: what is no read, write or barrier is no operation that it knows.
class TapdiskTest : public BlkifBackEndTest {};

TEST_P(TapdiskTest, BLKIF_IO_014_KnowsReadsWritesAndBarriersAlone) {
  connect();
  for (const uint8_t operation :
       std::to_array<uint8_t>({BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_DISCARD, BLKIF_OP_INDIRECT})) {
    auto request = front_->request(operation, 0, 0);
    request.nr_segments = 0;
    EXPECT_EQ(front_->status_of(request), BLKIF_RSP_EOPNOTSUPP) << int{operation};
  }
  auto barrier = front_->request(BLKIF_OP_WRITE_BARRIER, 0, 0);
  barrier.nr_segments = 0;
  EXPECT_EQ(front_->status_of(barrier), BLKIF_RSP_OKAY);
  EXPECT_EQ(statistics().unsupported, 3u);
}

INSTANTIATE_TEST_SUITE_P(Profiles, TapdiskTest, ::testing::Values("tapdisk"));

// Against BLKIF-NEG-008, as FreeBSD's blkback does.
class FreeBsdUnitsTest : public BlkifBackEndTest {};

TEST_P(FreeBsdUnitsTest, BLKIF_NEG_008_CountsInSectorsOfItsOwn) {
  config_.profile.sector_size = 4096;
  config_.profile.physical_sector_size = 4096;
  connect();
  EXPECT_EQ(host_.toolstack().read(paths_.backend + "/sectors"), "128");
  const auto page = front_->grant();
  std::memset(page.page.address, 0x5a, 4096);
  EXPECT_EQ(front_->status_of(front_->request(BLKIF_OP_WRITE, 127, page.ref)), BLKIF_RSP_OKAY);
  EXPECT_EQ(disk_->bytes()[127 * 4096], std::byte{0x5a});
  for (const uint64_t beyond : std::to_array<uint64_t>({128, uint64_t{1} << 61})) {
    EXPECT_EQ(front_->status_of(front_->request(BLKIF_OP_WRITE, beyond, page.ref)),
              BLKIF_RSP_ERROR);
  }
}

INSTANTIATE_TEST_SUITE_P(Profiles, FreeBsdUnitsTest, ::testing::Values("freebsd"));

INSTANTIATE_TEST_SUITE_P(Profiles, BlkifBackEndTest,
                         ::testing::Values("linux", "linux3", "classic", "qdisk", "tapdisk",
                                           "freebsd"));

}  // namespace
}  // namespace ringside::conformance
