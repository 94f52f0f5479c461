#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "conformance/blkif/accounting.hpp"
#include "conformance/blkif/fake_services.hpp"
#include "conformance/blkif/test_request.hpp"
#include "protocols/ring/back_ring.hpp"
#include "protocols/xenvbd/queue.hpp"

namespace ringside::conformance {

/// A front end's queue whose back end is the test itself, slot by slot.
class QueueRig : public ::testing::Test, protected xenvbd::Queue::Owner {
 protected:
  using Operation = xenvbd::Operation;
  using BackRing = ring::BackRing<blkif_request_t, blkif_response_t>;

  QueueRig() {
    disk_.sectors = 65536;
    disk_.flush_cache = true;
    disk_.barrier = true;
    disk_.discard = {.supported = true, .secure = false, .granularity = 4096, .alignment = 0};
    queue_ = std::make_unique<xenvbd::Queue>(services_, 0u, client_,
                                             static_cast<xenvbd::Queue::Owner&>(*this));
    EXPECT_EQ(queue_->create_parts(), Status::kOk);
  }

  void connect(uint32_t ring_page_order = 0) {
    terms_.ring_page_order = ring_page_order;
    ASSERT_EQ(queue_->prepare(1, terms_), Status::kOk);
    auto ring = BackRing::create(platform_.last_range().bytes());
    ASSERT_TRUE(ring);
    back_ = *std::move(ring);
    ASSERT_EQ(queue_->start(disk_), Status::kOk);
  }
  void reconnect(uint32_t ring_page_order = 0) {
    queue_->stop();
    queue_->disconnect();
    connect(ring_page_order);
  }

  TestRequest& make(Operation operation, uint64_t sector) {
    return requests_.emplace_back(platform_, operation, sector);
  }
  TestRequest& make_pages(Operation operation, uint64_t sector, unsigned pages) {
    return make(operation, sector).add_pages(pages);
  }
  Status submit(TestRequest& test) {
    client_.expect(test.request);
    const Status status = queue_->submit(test.request);
    if (!ok(status)) client_.refused(test.request);
    queue_->kick();
    return status;
  }
  TestRequest& submitted(TestRequest& test) {
    EXPECT_EQ(submit(test), Status::kOk);
    return test;
  }
  TestRequest& submitted(Operation operation, uint64_t sector, unsigned pages = 1) {
    return submitted(make_pages(operation, sector, pages));
  }
  TestRequest& submitted_flush() { return submitted(make(Operation::kFlush, 0)); }

  // --- the back end ---------------------------------------------------------------------
  std::optional<blkif_request_t> take() {
    const auto request = back_.take();
    EXPECT_TRUE(request) << to_string(request.status());
    return request ? *request : std::nullopt;
  }
  void put(uint64_t id, int16_t status = BLKIF_RSP_OKAY, uint8_t operation = 0) {
    blkif_response_t response{};
    response.id = id;
    response.operation = operation;
    response.status = status;
    back_.put(response);
  }
  /// Shows the answers and sends the event when asked to.
  void publish() {
    if (back_.publish()) events_.deliver();
  }
  void answer(const blkif_request_t& request, int16_t status = BLKIF_RSP_OKAY) {
    put(request.id, status, request.operation);
    publish();
  }
  std::vector<blkif_request_segment> segments_of(const blkif_request_t& request) const;
  /// Carries out all requests there are on `image_`.
  void serve();

  /// The books, once nothing is under way any more.
  void expect_settled() { EXPECT_EQ(client_.faults(*queue_), ""); }
  void queue_failed(Status why) override { failure_ = why; }
  void queue_drained() override { ++drained_; }
  void queue_stranded(xenvbd::RequestList& requests) override {
    ++stranded_;
    heir_->adopt(requests);
  }

  FakePlatform platform_;
  FakeGrants grants_{platform_};
  FakeEvents events_;
  FakeStore store_{platform_};
  xenbus::Services services_{platform_, grants_, events_, store_};
  Accounting client_;
  xenvbd::Disk disk_;
  xenvbd::Terms terms_{.handle = 768};
  Status failure_ = Status::kOk;
  unsigned drained_ = 0;
  unsigned stranded_ = 0;
  xenvbd::Queue* heir_ = nullptr;  ///< who gets what is stranded
  std::deque<TestRequest> requests_;
  std::vector<std::byte> image_ = std::vector<std::byte>(65536 * 512);
  BackRing back_;
  std::unique_ptr<xenvbd::Queue> queue_;
};

inline std::vector<blkif_request_segment> QueueRig::segments_of(
    const blkif_request_t& request) const {
  if (request.operation != BLKIF_OP_INDIRECT) {
    return {request.seg, request.seg + request.nr_segments};
  }
  const auto indirect = ring::slot_as<blkif_request_indirect_t>(request);
  std::vector<blkif_request_segment> segments;
  for (uint32_t i = 0; i < indirect.nr_segments; ++i) {
    const std::byte* page = grants_.page(indirect.indirect_grefs[i / 512]);
    if (page == nullptr) throw std::logic_error("an indirect page that was not granted");
    blkif_request_segment segment{};
    std::memcpy(&segment, page + i % 512 * sizeof(segment), sizeof(segment));
    segments.push_back(segment);
  }
  return segments;
}

inline void QueueRig::serve() {
  while (const auto request = take()) {
    uint8_t operation = request->operation;
    uint64_t sector = request->sector_number;
    if (operation == BLKIF_OP_INDIRECT) {
      const auto indirect = ring::slot_as<blkif_request_indirect_t>(*request);
      operation = indirect.indirect_op;
      sector = indirect.sector_number;
    }
    const bool moves = operation == BLKIF_OP_READ || operation == BLKIF_OP_WRITE;
    size_t at = sector * 512;
    if (moves) {
      for (const blkif_request_segment& segment : segments_of(*request)) {
        std::byte* guest = grants_.page(segment.gref);
        ASSERT_NE(guest, nullptr) << "data that was not granted";
        guest += segment.first_sect * 512u;
        const size_t length = (segment.last_sect - segment.first_sect + 1u) * 512u;
        ASSERT_LE(at + length, image_.size());
        if (operation == BLKIF_OP_READ) {
          std::memcpy(guest, image_.data() + at, length);
        } else {
          std::memcpy(image_.data() + at, guest, length);
        }
        at += length;
      }
    }
    answer(*request);
  }
}

}  // namespace ringside::conformance
