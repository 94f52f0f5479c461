#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "protocols/platform/status.hpp"
#include "protocols/ring/layout.hpp"
#include "protocols/ring/shared.hpp"
#include "protocols/ring/tap.hpp"

namespace ringside::ring {

/// The back end's end of one shared ring: consumes requests, produces responses.
///
/// The mirror of FrontRing, with the same distrust of its peer. One CPU at a time.
/// Source: xen/io/ring.h.
template <typename Request, typename Response, typename Memory = HardwareMemory>
class alignas(kCacheLine) BackRing {
 public:
  /// A closed ring of no slots.
  BackRing() = default;

  /// Takes up the ring that a front end laid over `area`, at the response it stands at.
  /// kInvalidArgument unless the area is 1, 2, 4, 8 or 16 pages; kPeerViolation when its
  /// indices cannot be.
  static Result<BackRing> create(std::span<std::byte> area, Memory memory = {}) {
    if (!is_ring_area(area.size())) return Status::kInvalidArgument;
    BackRing ring;
    ring.shared_ = SharedView<Memory>(area, memory);
    ring.size_ = slots_in<Request, Response>(area.size());
    const uint32_t start = ring.shared_.load(kRspProd);
    if (ring.shared_.load(kReqProd) - start > ring.size_) return Status::kPeerViolation;
    ring.produced_ = ring.published_ = ring.consumed_ = ring.available_ = start;
    ring.closed_ = false;
    return ring;
  }

  uint32_t size() const { return size_; }
  /// True after close() or a violation of the peer; the ring then touches no shared memory.
  bool closed() const { return closed_; }
  void close() { closed_ = true; }
  /// `tap` sees what is published and taken from now on; nullptr for none.
  void attach(Tap* tap) { tap_ = tap; }

  /// Requests taken and not yet answered.
  uint32_t unanswered() const { return consumed_ - produced_; }
  /// Requests that can be taken now, whatever the peer's producer says never more than
  /// there are slots without a request of ours in them. [RING-013]
  uint32_t unconsumed() {
    if (closed_) return 0;
    return std::min(shared_.load(kReqProd) - consumed_, size_ - unanswered());
  }
  /// Free-running index of the next request, and of the response that put() fills next.
  uint32_t next_request() const { return consumed_; }
  uint32_t next_response() const { return produced_; }

  /// Takes the next request into `into`: false, and `into` as it was, when there is none.
  /// kPeerViolation when the peer's producer claims more requests than there are slots; the
  /// ring is then closed. kClosed from then on.
  /// The shared producer is read once a batch. [RING-008, RING-009]
  Result<bool> take(Request& into) {
    if (closed_) return Status::kClosed;
    if (consumed_ == available_) {
      const uint32_t produced = shared_.load_acquire(kReqProd);
      // RING-008: also catches an index that went back. RING-013: a slot whose request is
      // not yet answered cannot hold another one.
      if (produced - consumed_ > size_ - unanswered()) {
        closed_ = true;
        return Status::kPeerViolation;
      }
      available_ = produced;
      if (consumed_ == available_) return false;
    }
    shared_.copy_out(slot(consumed_), into);
    if (tap_ != nullptr) {
      tap_->consumed(Tap::Side::kBack, consumed_, std::as_bytes(std::span(&into, 1)));
    }
    ++consumed_;
    return true;
  }
  /// The same with the request in the answer: kinder to read, slower on a hot path.
  Result<std::optional<Request>> take() {
    std::optional<Request> request(std::in_place);
    const Result<bool> taken = take(*request);
    if (!taken) return taken.status();
    if (!*taken) request.reset();
    return request;
  }

  /// Copies `response`, or what goes by in its place, into the next slot. Precondition:
  /// unanswered() > 0.
  template <typename T = Response>
  void put(const T& response) {
    static_assert(sizeof(T) <= kSlotSize<Request, Response>);
    shared_.copy_in(slot(produced_), response);
    ++produced_;
  }

  /// Makes all put responses visible to the peer; true when the peer asked to be notified
  /// of them. [RING-004, RING-006]
  [[nodiscard]] bool publish() {
    if (closed_ || produced_ == published_) return false;
    if (tap_ != nullptr) show_produced();
    const uint32_t before = published_;
    published_ = produced_;
    // RING-004: the slots are visible before the index that covers them.
    shared_.store_release(kRspProd, published_);
    // RING-006: the peer sees the index before we look whether it went to sleep.
    shared_.full_barrier();
    return published_ - shared_.load(kRspEvent) < published_ - before;
  }

  /// Asks for a notification at the next request; false when one came meanwhile and the
  /// caller must take() again. [RING-007]
  [[nodiscard]] bool arm() {
    if (closed_) return true;
    if (consumed_ != available_) return false;
    // RING-007: arm first, then look again: a request that lands in between is not announced.
    shared_.store(kReqEvent, consumed_ + 1);
    shared_.full_barrier();
    return shared_.load(kReqProd) == consumed_;
  }

 private:
  size_t slot(uint32_t index) const {
    return kHeaderSize + (index & (size_ - 1)) * kSlotSize<Request, Response>;
  }

  void show_produced() {
    for (uint32_t i = published_; i != produced_; ++i) {
      Response response;
      shared_.copy_out(slot(i), response);
      tap_->produced(Tap::Side::kBack, i, std::as_bytes(std::span(&response, 1)));
    }
  }

  SharedView<Memory> shared_;
  Tap* tap_ = nullptr;
  uint32_t size_ = 0;
  uint32_t consumed_ = 0;   ///< next request to take
  uint32_t available_ = 0;  ///< the peer's producer as last read and found right
  uint32_t produced_ = 0;   ///< next response to put
  uint32_t published_ = 0;  ///< what the peer was shown of them
  bool closed_ = true;
};

}  // namespace ringside::ring
