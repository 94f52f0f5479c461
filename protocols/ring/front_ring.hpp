#pragma once

#include <array>
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

/// The front end's end of one shared ring.
///
/// Produces requests and consumes responses over 1 to 16 granted pages. The peer is not
/// trusted: its indices are checked before use and a response is copied out once, so what
/// is validated is what is used. One CPU at a time. Source: xen/io/ring.h.
template <typename Request, typename Response, typename Memory = HardwareMemory>
class alignas(kCacheLine) FrontRing {
 public:
  /// A closed ring of no slots.
  FrontRing() = default;

  /// Lays an empty ring over `area`, which is contiguous and page aligned. kInvalidArgument
  /// unless it is 1, 2, 4, 8 or 16 pages. `start` is the first index: 0, but for tests.
  static Result<FrontRing> create(std::span<std::byte> area, uint32_t start = 0,
                                  Memory memory = {}) {
    if (!is_ring_area(area.size())) return Status::kInvalidArgument;
    FrontRing ring;
    ring.shared_ = SharedView<Memory>(area, memory);
    ring.size_ = slots_in<Request, Response>(area.size());
    ring.reset(start);
    return ring;
  }

  /// Lays the ring empty again, slots zeroed, whatever a former peer left in it; to be done
  /// before the pages are granted anew. The tap stays. [RING-002, RING-011]
  void reset(uint32_t start = 0) {
    if (size_ == 0) return;
    const std::array<std::byte, kSlotSize<Request, Response>> empty{};
    for (uint32_t i = 0; i < size_; ++i) shared_.copy_in(slot(i), empty);
    for (size_t pad = 0; pad < kHeaderSize; pad += sizeof(uint32_t)) shared_.store(pad, 0);
    shared_.store(kReqProd, start);
    shared_.store(kRspProd, start);
    shared_.store(kReqEvent, start + 1);
    shared_.store(kRspEvent, start + 1);
    produced_ = published_ = consumed_ = available_ = start;
    closed_ = false;
  }

  /// Slots of the ring, a power of two. [RING-001]
  uint32_t size() const { return size_; }
  /// True after close() or a violation of the peer; the ring then touches no shared memory.
  bool closed() const { return closed_; }
  void close() { closed_ = true; }
  /// `tap` sees what is published and taken from now on; nullptr for none.
  void attach(Tap* tap) { tap_ = tap; }

  /// Requests put and not yet answered.
  uint32_t outstanding() const { return produced_ - consumed_; }
  /// Slots that can still be filled; none once closed. [RING-005]
  uint32_t free_slots() const { return closed_ ? 0 : size_ - outstanding(); }
  /// Free-running index of the request that the next put() fills, and of the next response.
  uint32_t next_request() const { return produced_; }
  uint32_t next_response() const { return consumed_; }
  /// The peer was shown the request at `index`, which has been put.
  bool published(uint32_t index) const { return index - published_ >= produced_ - published_; }

  /// Copies `request`, or what goes by in its place (an extra info), into the next slot.
  /// Precondition: free_slots() > 0.
  template <typename T = Request>
  void put(const T& request) {
    static_assert(sizeof(T) <= kSlotSize<Request, Response>);
    shared_.copy_in(slot(produced_), request);
    ++produced_;
  }

  /// Forgets the requests put since the last publish().
  void cancel() { produced_ = published_; }

  /// Makes all put requests visible to the peer; true when the peer asked to be notified of
  /// them. [RING-004, RING-006]
  [[nodiscard]] bool publish() {
    if (closed_ || produced_ == published_) return false;
    if (tap_ != nullptr) show_produced();
    const uint32_t before = published_;
    published_ = produced_;
    // RING-004: the slots are visible before the index that covers them.
    shared_.store_release(kReqProd, published_);
    // RING-006: the peer sees the index before we look whether it went to sleep.
    shared_.full_barrier();
    return published_ - shared_.load(kReqEvent) < published_ - before;
  }

  /// Takes the next response into `into`: false, and `into` as it was, when there is none.
  /// kPeerViolation when the peer's producer claims more responses than there are requests; the
  /// ring is then closed. kClosed from then on.
  /// The shared producer is read once a batch. [RING-008, RING-009]
  Result<bool> take(Response& into) {
    if (closed_) return Status::kClosed;
    if (consumed_ == available_) {
      const uint32_t produced = shared_.load_acquire(kRspProd);
      // RING-008: also catches an index that went back.
      if (produced - consumed_ > published_ - consumed_) {
        closed_ = true;
        return Status::kPeerViolation;
      }
      available_ = produced;
      if (consumed_ == available_) return false;
    }
    shared_.copy_out(slot(consumed_), into);
    if (tap_ != nullptr) {
      tap_->consumed(Tap::Side::kFront, consumed_, std::as_bytes(std::span(&into, 1)));
    }
    ++consumed_;
    return true;
  }
  /// The same with the response in the answer: kinder to read, slower on a hot path.
  Result<std::optional<Response>> take() {
    std::optional<Response> response(std::in_place);
    const Result<bool> taken = take(*response);
    if (!taken) return taken.status();
    if (!*taken) response.reset();
    return response;
  }

  /// Asks for a notification at the next response; false when one came meanwhile and the
  /// caller must take() again. [RING-007]
  [[nodiscard]] bool arm() {
    if (closed_) return true;
    if (consumed_ != available_) return false;
    // RING-007: arm first, then look again: a response that lands in between is not announced.
    shared_.store(kRspEvent, consumed_ + 1);
    shared_.full_barrier();
    return shared_.load(kRspProd) == consumed_;
  }

 private:
  size_t slot(uint32_t index) const {
    return kHeaderSize + (index & (size_ - 1)) * kSlotSize<Request, Response>;
  }

  void show_produced() {
    for (uint32_t i = published_; i != produced_; ++i) {
      Request request;
      shared_.copy_out(slot(i), request);
      tap_->produced(Tap::Side::kFront, i, std::as_bytes(std::span(&request, 1)));
    }
  }

  SharedView<Memory> shared_;
  Tap* tap_ = nullptr;
  uint32_t size_ = 0;
  uint32_t produced_ = 0;   ///< next request to put
  uint32_t published_ = 0;  ///< what the peer was shown of them
  uint32_t consumed_ = 0;   ///< next response to take
  uint32_t available_ = 0;  ///< the peer's producer as last read and found right
  bool closed_ = true;
};

}  // namespace ringside::ring
