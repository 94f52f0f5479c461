#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/xenbus/event_abi.hpp"
#include "protocols/xenbus/hypercalls.hpp"

namespace ringside::xenbus {

/// Queues of event words, one for each CPU and priority. Source: event_channel.h, "FIFO ABI".
/// [EVTCHN-002]
class FifoEvents final : public EventAbi {
 public:
  static constexpr Port kPorts = EVTCHN_FIFO_NR_CHANNELS;

  FifoEvents(platform::Platform& platform, Hypercalls& xen) : platform_(platform), xen_(xen) {}
  FifoEvents(const FifoEvents&) = delete;
  FifoEvents& operator=(const FifoEvents&) = delete;
  /// Xen must know the pages no more.
  ~FifoEvents();

  /// Takes the memory that enter() needs; kNoMemory.
  Status start(unsigned cpus);
  /// Puts the ABI in force, with every port masked. kNotSupported, and nothing has changed, when
  /// this Xen has no FIFO. After any other error Xen may hold pages: EVTCHNOP_reset ends that.
  /// Allocates nothing; any level.
  Status enter();

  Status cover(Port port) override;
  void mask(Port port) override;
  bool unmask(Port port) override;
  bool masked(Port port) override;
  void set_pending(Port port) override;
  bool acknowledge(Port port) override;
  bool poll(unsigned cpu, Sink& sink) override;
  bool astray() const override { return true; }

 private:
  static constexpr Port kWordsPerPage = platform::kPageSize / sizeof(event_word_t);
  static constexpr unsigned kMaxPages = kPorts / kWordsPerPage;
  /// Room for a control block on cache lines of its own; a page has those of all CPUs.
  static constexpr size_t kBlockStride = 128;
  /// Events in one poll(): what comes without end lets others run in between.
  static constexpr unsigned kBudget = 256;
  static constexpr unsigned kBusyTries = 1000;
  static_assert(sizeof(evtchn_fifo_control_block_t) <= kBlockStride);
  static_assert(XEN_LEGACY_MAX_VCPUS * kBlockStride <= platform::kPageSize);

  struct alignas(64) Cpu {
    std::array<Port, EVTCHN_FIFO_MAX_QUEUES> heads{};  ///< 0: to be read from the control block
    uint32_t ready = 0;                                ///< queues that a poll() left
  };

  evtchn_fifo_control_block_t& block(unsigned cpu) const;
  std::atomic_ref<event_word_t> word(Port port) const;
  /// Null for a port that has no word: only a rogue link can name one.
  event_word_t* find_word(Port port) const;
  static void mask_all(std::byte* page);
  void consume(unsigned cpu, unsigned queue, uint32_t& ready, Sink& sink);

  platform::Platform& platform_;
  Hypercalls& xen_;
  platform::Page control_;
  Owned<platform::Lock> lock_;  ///< guards the growth of the array
  std::array<platform::Page, kMaxPages> pages_{};
  std::atomic<unsigned> page_count_ = 0;
  platform::Array<Cpu> cpus_;
};

}  // namespace ringside::xenbus
