#pragma once

#include <atomic>
#include <cstdint>

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/xenbus/hypercalls.hpp"
#include "protocols/xenbus/interfaces/events.hpp"

namespace ringside::xenbus {

/// Event channels over the two-level bitmaps of the shared info page.
///
/// One upcall looks once at every port that was pending when it began, so that a peer that
/// raises its port without end delays nobody else. Source: event_channel.h, xen.h.
/// [EVTCHN-001..005]
class EventChannels final : public Events {
 public:
  static constexpr unsigned kBitsPerWord = sizeof(xen_ulong_t) * 8;
  static constexpr Port kPorts = kBitsPerWord * kBitsPerWord;

  EventChannels(platform::Platform& platform, Hypercalls& xen) : platform_(platform), xen_(xen) {}
  EventChannels(const EventChannels&) = delete;
  EventChannels& operator=(const EventChannels&) = delete;
  ~EventChannels();

  /// Masks every port of `shared_info` and takes the upcall of each CPU.
  Status start(std::byte* shared_info);
  /// Begins anew on the shared info page of the new domain: the channels that were open are
  /// lost, do nothing any more and are to be opened again. While no other CPU runs.
  void resume(std::byte* shared_info);

  Result<Owned<EventChannel>> open_unbound(DomainId peer, Delegate handler, unsigned cpu) override;
  Result<Owned<EventChannel>> open_interdomain(DomainId peer, Port port, Delegate handler,
                                               unsigned cpu) override;
  /// A port that the toolstack bound before this domain ran; its destruction leaves it bound.
  Result<Owned<EventChannel>> open_fixed(Port port, Delegate handler, unsigned cpu);

 private:
  class Channel;
  /// What one CPU's upcall works on, on its own cache lines.
  struct alignas(64) Cpu {
    void upcall() { owner->upcall(*this); }

    EventChannels* owner = nullptr;
    unsigned index = 0;
    Port next_port = 0;                      ///< where the round robin goes on
    Owned<platform::Lock> lock;              ///< guards the ports bound to this CPU
    std::atomic<Channel*> active = nullptr;  ///< whose handler is running
  };
  enum class Closing : bool { kLeaveBound, kClose };

  Result<Owned<EventChannel>> install(Port port, Delegate handler, unsigned cpu, Closing closing);
  void remove(Channel& channel);
  void upcall(Cpu& cpu);
  void dispatch(Cpu& cpu, Port port);
  vcpu_info_t& vcpu(unsigned cpu) const;

  platform::Platform& platform_;
  Hypercalls& xen_;
  shared_info_t* shared_ = nullptr;
  platform::Array<Cpu> cpus_;
  platform::Array<std::atomic<Channel*>> channels_;  ///< by port
};

}  // namespace ringside::xenbus
