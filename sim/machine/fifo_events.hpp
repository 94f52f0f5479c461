#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "sim/machine/event_channels.hpp"
#include "sim/machine/frames.hpp"

namespace ringside::sim {

/// Xen's side of one domain's FIFO ABI: control blocks, event words and queue tails. All
/// shared words are the guest's to spoil: they are only ever changed atomically, and what
/// waits for the guest gives up. Source: xen/event_channel.h, "FIFO ABI". Thread-safe.
class FifoEvents {
 public:
  FifoEvents(Domain& owner, Port max_ports);
  ~FifoEvents();
  FifoEvents(const FifoEvents&) = delete;
  FifoEvents& operator=(const FifoEvents&) = delete;

  /// Precondition: `offset` leaves room for the block in its page. -EINVAL when the vCPU has
  /// one already or there is no memory behind `gfn`.
  int64_t map_control_block(unsigned vcpu, uint64_t gfn, uint32_t offset);
  /// Appends a page of event words. -ENOSPC past the last, -EINVAL without memory.
  int64_t expand_array(uint64_t gfn);
  /// Ports that have an event word.
  Port words() const { return pages_in_use_.load() * kWordsPerPage; }
  /// Forgets control blocks, pages and queues.
  void clear();

  /// A port without a word is masked, and remembers that it is pending until it has one.
  bool test(Port port, unsigned bit) const;
  bool set(Port port, unsigned bit);    ///< tells whether it was set
  bool reset(Port port, unsigned bit);  ///< tells whether it was set
  /// What was remembered for a port whose word came since.
  bool take_remembered(Port port) { return ports_[port].remembered.exchange(false); }
  void remember(Port port) { ports_[port].remembered.store(true); }

  uint8_t priority(Port port) const { return ports_[port].priority.load(); }
  void set_priority(Port port, uint8_t priority) { ports_[port].priority.store(priority); }

  /// Puts the port at the tail of the vCPU's queue of its priority, unless it is linked. True
  /// when the queue was empty and the vCPU is to be told.
  bool link(Port port, unsigned vcpu);

 private:
  static constexpr Port kWordsPerPage = kPageSize / sizeof(event_word_t);
  static constexpr unsigned kMaxPages = EVTCHN_FIFO_NR_CHANNELS / kWordsPerPage;
  struct PortState {
    std::atomic<bool> remembered{false};
    std::atomic<uint8_t> priority{EVTCHN_FIFO_PRIORITY_DEFAULT};
    uint8_t last_vcpu = 0;  // the queue it was last in
    uint8_t last_priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
  };
  struct Vcpu {
    evtchn_fifo_control_block_t* block = nullptr;
    std::array<Port, EVTCHN_FIFO_MAX_QUEUES> tails{};
  };

  event_word_t* word(Port port) const;
  std::byte* map(uint64_t gfn);

  Domain& owner_;
  std::unique_ptr<PortState[]> ports_;
  std::mutex mutex_;  // queues and the frames below
  std::vector<Vcpu> vcpus_;
  std::vector<MachineFrame> frames_;
  std::array<std::atomic<event_word_t*>, kMaxPages> pages_{};
  std::atomic<Port> pages_in_use_{0};
};

}  // namespace ringside::sim
