#pragma once

#include <cstdint>

#include "protocols/platform/delegate.hpp"
#include "protocols/platform/owned.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/platform/status.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"
#include "protocols/xenbus/interfaces/identity.hpp"
#include "protocols/xenbus/interfaces/tracked.hpp"

namespace ringside::xenbus {

using Port = uint32_t;  ///< evtchn_port_t of event_channel.h

/// One open event channel. The handler runs at dispatch level on the CPU it was bound to;
/// an event is acknowledged before its handler is called. [EVTCHN-005]
class EventChannel : public Tracked {
 public:
  virtual Port port() const = 0;
  /// EVTCHNOP_send. Any level.
  virtual void notify() = 0;
  virtual void mask() = 0;
  /// From now on each event masks the channel before its handler is called, which calls unmask()
  /// when it has looked for work.
  virtual void set_auto_mask(bool on) = 0;
  /// True when an event came in while masked; it is then acknowledged and masked again,
  /// and the caller must look for work once more before it calls unmask() again.
  [[nodiscard]] virtual bool unmask() = 0;
  /// The handler was called and found nothing to do: the more often in a row, the longer the
  /// channel is deaf (up to kLongestRest), so that a peer can't keep a CPU busy with announcing
  /// nothing. From the handler; its next event that does have work ends that. [EVTCHN-006]
  virtual void found_nothing() = 0;
  /// As if an event had come in. Any level.
  virtual void trigger() = 0;
  /// Moves the channel to another CPU. Passive level; not from its handler.
  virtual Status bind(unsigned cpu) = 0;
  /// Events so far; counted when they are acknowledged, before the handler runs. [EVTCHN-007]
  virtual uint32_t count() const = 0;
  /// Waits until count() has passed `seen`: kOk, or kTimedOut once now() >= deadline. Passive
  /// level, one at a time. [EVTCHN-007]
  virtual Status wait(uint32_t seen, platform::Nanoseconds deadline) = 0;
  /// Closes the port. After return the handler does not run, on any CPU.
  virtual void destroy() = 0;

 protected:
  ~EventChannel() = default;
};

inline constexpr platform::Nanoseconds kLongestRest = platform::kSecond;

/// XENBUS EVTCHN.
class Events {
 public:
  static constexpr InterfaceIdentity kIdentity{"EVTCHN",
                                               guid("BE2440AC-1098-4150-AF4D-452FADCEF923")};

  /// EVTCHNOP_alloc_unbound: a port that `peer` may bind to.
  virtual Result<Owned<EventChannel>> open_unbound(DomainId peer, Delegate handler,
                                                   unsigned cpu) = 0;
  /// EVTCHNOP_bind_interdomain: binds to a port that `peer` allocated for us.
  virtual Result<Owned<EventChannel>> open_interdomain(DomainId peer, Port port, Delegate handler,
                                                       unsigned cpu) = 0;
  /// EVTCHNOP_bind_virq: VIRQ_`virq` of xen.h; kExists when somebody has it. Those that each CPU
  /// has of its own come to `cpu` alone.
  virtual Result<Owned<EventChannel>> open_virq(uint32_t virq, Delegate handler, unsigned cpu) = 0;
  /// CPUs that events can be bound to; the others are refused with kInvalidArgument.
  virtual unsigned cpus() const = 0;

 protected:
  ~Events() = default;
};

}  // namespace ringside::xenbus
