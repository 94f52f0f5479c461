#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/xenbus/event_abi.hpp"
#include "protocols/xenbus/fifo_events.hpp"
#include "protocols/xenbus/hypercalls.hpp"
#include "protocols/xenbus/interfaces/events.hpp"
#include "protocols/xenbus/two_level_events.hpp"

namespace ringside::xenbus {

/// This domain's event channels: which ports are open, whose handlers they have, and on which CPU.
///
/// In FIFO queues where Xen has them and the setting UseEvtchnFifoAbi (1) allows, else in two-level
/// bitmaps. Upcalls come by a vector of each CPU where Xen knows it and the setting UseEvtchnUpcall
/// (1) allows, else all to CPU 0 by the callback line. Source: event_channel.h, hvm/params.h,
/// hvm/hvm_op.h. [EVTCHN-001..007]
class EventChannels final : public Events, private EventAbi::Sink {
 public:
  EventChannels(platform::Platform& platform, Hypercalls& xen)
      : platform_(platform), xen_(xen), fifo_(platform, xen) {}
  EventChannels(const EventChannels&) = delete;
  EventChannels& operator=(const EventChannels&) = delete;
  /// Masks all ports, and leaves Xen none of this driver's pages.
  ~EventChannels();

  /// Masks every port and takes the upcall of each CPU.
  Status start(std::byte* shared_info);
  /// Begins anew on the shared info page of the new domain, whose Xen may have another ABI: the
  /// channels that were open are lost, do nothing any more and are to be opened again. While no
  /// other CPU runs.
  void resume(std::byte* shared_info);

  Result<Owned<EventChannel>> open_unbound(DomainId peer, Delegate handler, unsigned cpu) override;
  Result<Owned<EventChannel>> open_interdomain(DomainId peer, Port port, Delegate handler,
                                               unsigned cpu) override;
  Result<Owned<EventChannel>> open_virq(uint32_t virq, Delegate handler, unsigned cpu) override;
  /// A port that the toolstack bound before this domain ran; its destruction leaves it bound.
  Result<Owned<EventChannel>> open_fixed(Port port, Delegate handler, unsigned cpu);
  unsigned cpus() const override { return reachable_cpus_; }
  bool uses_fifo() const { return abi_ == &fifo_; }

 private:
  class Channel;
  /// What one CPU's upcall works on, on its own cache lines.
  struct alignas(64) Cpu {
    void upcall() { owner->upcall(*this); }

    EventChannels* owner = nullptr;
    unsigned index = 0;
    Owned<platform::Lock> lock;              ///< guards the ports bound to this CPU
    std::atomic<Channel*> active = nullptr;  ///< whose handler is running
    Owned<platform::Timer> again;            ///< goes on where an upcall had to stop
  };
  enum class Closing : bool { kLeaveBound, kClose };
  static constexpr Port kPortsPerChunk = 1024;
  using Slot = std::atomic<Channel*>;
  /// Grows with the ports in use: FIFO has 128 Ki of them.
  struct Chunk {
    std::array<Slot, kPortsPerChunk> slots{};
  };

  Status prepare();
  void choose_abi();
  /// Closes every port, and binds the store's and the console's again.
  Status return_to_two_level();
  void connect_upcalls();
  Result<Owned<EventChannel>> install(Port port, Delegate handler, unsigned cpu, Closing closing,
                                      bool movable);
  Status make_slot(Port port);
  Slot* slot(Port port) const;
  void remove(Channel& channel);
  Status move(Channel& channel, unsigned cpu);
  void await_handler(Cpu& cpu, const Channel& channel);
  void upcall(Cpu& cpu);
  void ready(unsigned cpu, Port port) override;

  platform::Platform& platform_;
  Hypercalls& xen_;
  shared_info_t* shared_ = nullptr;
  TwoLevelEvents two_level_;
  FifoEvents fifo_;
  bool fifo_wanted_ = false;
  EventAbi* abi_ = &two_level_;
  unsigned reachable_cpus_ = 1;
  platform::Array<Cpu> cpus_;
  Owned<platform::Lock> chunks_lock_;  ///< held to add a chunk
  std::array<platform::Box<Chunk>, FifoEvents::kPorts / kPortsPerChunk> chunks_;
  std::array<std::atomic<Chunk*>, FifoEvents::kPorts / kPortsPerChunk> chunk_of_{};
};

}  // namespace ringside::xenbus
