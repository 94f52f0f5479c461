#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "backends/netback/frame.hpp"

namespace ringside::backends {

/// What is behind a vif: the network as netback sees it. Called from netback's actor only.
class Port {
 public:
  virtual ~Port() = default;
  /// How many frames it would take; with 0, netback leaves what the guest sends on the ring
  /// until wake() is called.
  virtual size_t room() { return SIZE_MAX; }
  /// The guest sent `frame`; what of it is not moved from is used again.
  virtual void sent(Frame&& frame) = 0;
  /// The next frame for the guest goes to `frame`, which is empty and may have memory; false
  /// when there is none.
  virtual bool receive(Frame& frame) = 0;

  /// Netback sets this; a port calls it when receive() or room() would answer otherwise
  /// than before. May be called from any thread. `who` has the port until forget(), or until
  /// somebody else takes it over.
  void set_wake(const void* who, std::function<void()> wake) {
    const std::lock_guard lock(mutex_);
    who_ = who;
    wake_ = std::move(wake);
  }
  /// Nothing when another one has the port by now. After return `who` is not woken any more.
  void forget(const void* who) {
    const std::lock_guard lock(mutex_);
    if (who_ != who) return;
    who_ = nullptr;
    wake_ = nullptr;
  }

 protected:
  void wake() {
    const std::lock_guard lock(mutex_);
    if (wake_) wake_();
  }

 private:
  std::mutex mutex_;  // held while waking
  const void* who_ = nullptr;
  std::function<void()> wake_;
};

/// Keeps what the guest sent and hands it what a test puts in.
class MemoryPort final : public Port {
 public:
  void sent(Frame&& frame) override;
  bool receive(Frame& frame) override;

  void inject(Frame frame);
  const std::vector<Frame>& received() const { return sent_; }
  std::vector<Frame> take_received();
  size_t waiting() const { return waiting_.size(); }
  /// Called with each frame the guest sends, before it is kept.
  std::function<void(const Frame&)> on_sent;

 private:
  std::vector<Frame> sent_;
  std::deque<Frame> waiting_;
};

/// A cable between two vifs: what one guest sends, the other receives, in order and without
/// loss; a full cable makes the sender wait.
class Link {
 public:
  explicit Link(size_t capacity = 512);
  Port& left() { return left_; }
  Port& right() { return right_; }

 private:
  class End final : public Port {
   public:
    size_t room() override { return capacity_ - std::min(capacity_, peer_->queue_.size()); }
    void sent(Frame&& frame) override;
    bool receive(Frame& frame) override;

    End* peer_ = nullptr;
    size_t capacity_ = 0;
    std::deque<Frame> queue_;

    using Port::wake;
  };
  End left_;
  End right_;
};

}  // namespace ringside::backends
