#pragma once

#include "protocols/platform/status.hpp"
#include "protocols/xenbus/interfaces/events.hpp"

namespace ringside::xenbus {

/// How Xen and this domain keep what is pending and what is masked. Ports that cover() has not
/// been asked for are masked, and none of the others is asked about them.
class EventAbi {
 public:
  /// Who is shown the ports that poll() finds. Dispatch level, on the CPU in question.
  class Sink {
   public:
    virtual void ready(unsigned cpu, Port port) = 0;

   protected:
    ~Sink() = default;
  };

  /// Makes the port usable. Passive level. kNoResources when this ABI has no such port; kNoMemory.
  virtual Status cover(Port port) = 0;
  virtual void mask(Port port) = 0;
  /// Clears the mask and tells whether the port is pending.
  virtual bool unmask(Port port) = 0;
  virtual bool masked(Port port) = 0;
  virtual void set_pending(Port port) = 0;
  /// Clears what is pending and tells whether it was. [EVTCHN-005]
  virtual bool acknowledge(Port port) = 0;
  /// Shows ports that are pending and not masked, each as often as it was announced. True when it
  /// stopped at a bound and is to be called again soon, without Xen saying so.
  virtual bool poll(unsigned cpu, Sink& sink) = 0;
  /// poll() showed a port to a CPU which it is not bound to any more: tells whether Xen has to
  /// announce it anew.
  virtual bool astray() const = 0;

 protected:
  ~EventAbi() = default;
};

}  // namespace ringside::xenbus
