#pragma once

#include <cstdint>
#include <span>

#include "protocols/platform/platform.hpp"

namespace ringside::xenvbd {

/// Every sector number and count of the protocol, whatever the disk's own sector size.
/// [BLKIF-NEG-008]
inline constexpr uint32_t kSectorBytes = 512;

enum class Operation : uint8_t { kRead, kWrite, kFlush, kDiscard };

/// Client memory within one page: `length` bytes from `offset`, with any alignment.
struct Segment {
  platform::Page page;
  uint32_t offset = 0;
  uint32_t length = 0;
};

/// Where in a request's segments the next byte lies.
struct Position {
  uint32_t segment = 0;
  uint32_t offset = 0;  ///< bytes into that segment
};

/// One thing that a client wants done. Lent to the queue, segments and all, from submit()
/// until Client::completed(): the queue keeps its own notes in it and allocates nothing.
class Request {
 public:
  Operation operation = Operation::kRead;
  bool secure = false;   ///< discard only: make all copies unrecoverable
  uint64_t sector = 0;   ///< first sector, in units of 512 bytes
  uint64_t sectors = 0;  ///< read and write: what the segments add up to; 0 for a flush
  std::span<const Segment> segments;
  uint64_t cookie = 0;  ///< the client's own

 private:
  friend class Queue;
  friend class RequestList;

  void rewind() {
    position_ = {};
    sent_ = 0;
    in_flight_ = 0;
    issued_ = false;
    reissue_ = false;
    status_ = Status::kOk;
  }

  Request* previous_ = nullptr;
  Request* next_ = nullptr;
  Position position_;
  uint64_t sent_ = 0;            ///< sectors given to the ring
  uint32_t in_flight_ = 0;       ///< ring requests not yet answered
  bool issued_ = false;          ///< all of it is on the ring, or will never be
  bool reissue_ = false;         ///< to begin again once nothing is in flight
  Status status_ = Status::kOk;  ///< the first error
};

/// Requests in the order in which they came.
class RequestList {
 public:
  Request* front() const { return front_; }
  static Request* after(const Request& request) { return request.next_; }
  void push_back(Request& request) {
    request.previous_ = back_;
    request.next_ = nullptr;
    (back_ == nullptr ? front_ : back_->next_) = &request;
    back_ = &request;
  }
  /// All of `others`, which is empty then.
  void append(RequestList& others) {
    while (others.front_ != nullptr) {
      Request& request = *others.front_;
      others.remove(request);
      push_back(request);
    }
  }
  void remove(Request& request) {
    (request.previous_ == nullptr ? front_ : request.previous_->next_) = request.next_;
    (request.next_ == nullptr ? back_ : request.next_->previous_) = request.previous_;
    request.previous_ = request.next_ = nullptr;
  }

 private:
  Request* front_ = nullptr;
  Request* back_ = nullptr;
};

}  // namespace ringside::xenvbd
