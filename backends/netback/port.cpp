#include "backends/netback/port.hpp"

#include <utility>

namespace ringside::backends {

void MemoryPort::sent(Frame&& frame) {
  if (on_sent) on_sent(frame);
  sent_.push_back(std::move(frame));
}

bool MemoryPort::receive(Frame& frame) {
  if (waiting_.empty()) return false;
  frame = std::move(waiting_.front());
  waiting_.pop_front();
  return true;
}

void MemoryPort::inject(Frame frame) {
  waiting_.push_back(std::move(frame));
  wake();
}

std::vector<Frame> MemoryPort::take_received() { return std::exchange(sent_, {}); }

Link::Link(size_t capacity) {
  left_.peer_ = &right_;
  right_.peer_ = &left_;
  left_.capacity_ = capacity;
  right_.capacity_ = capacity;
}

void Link::End::sent(Frame&& frame) {
  peer_->queue_.push_back(std::move(frame));
  peer_->wake();
}

bool Link::End::receive(Frame& frame) {
  if (queue_.empty()) return false;
  const bool was_full = queue_.size() >= capacity_;
  frame = std::move(queue_.front());
  queue_.pop_front();
  if (was_full) peer_->wake();
  return true;
}

}  // namespace ringside::backends
