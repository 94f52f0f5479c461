#pragma once

#include <cstdint>

#include "protocols/platform/delegate.hpp"
#include "protocols/platform/owned.hpp"
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
  /// True when an event came in while masked; it is then acknowledged and masked again,
  /// and the caller must look for work once more before it calls unmask() again.
  [[nodiscard]] virtual bool unmask() = 0;
  /// Closes the port. After return the handler does not run, on any CPU.
  virtual void destroy() = 0;

 protected:
  ~EventChannel() = default;
};

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

 protected:
  ~Events() = default;
};

}  // namespace ringside::xenbus
