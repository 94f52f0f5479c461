#pragma once

#include <set>

#include "sim/machine/machine.hpp"

namespace ringside::sim::dropin {

/// What the event channel device of dom0's kernel is to one handle: ports that are the handle's
/// alone, and a file from which a client reads those that had an event. An event masks its port
/// until it is unmasked. Source: xen/sys/evtchn.h.
///
/// Driven by one thread; events come on any.
class EventDevice final : public EventSink {
 public:
  /// Throws std::system_error.
  explicit EventDevice(Domain& domain);
  ~EventDevice();
  EventDevice(const EventDevice&) = delete;
  EventDevice& operator=(const EventDevice&) = delete;

  /// The client's end.
  int file() const { return read_end_; }

  /// A port, or -errno; and so the others, with 0 for success.
  int64_t bind_unbound(DomainId remote) { return adopt(domain_.events().alloc_unbound(remote)); }
  int64_t bind_interdomain(DomainId remote, Port port) {
    return adopt(domain_.events().bind_interdomain(remote, port));
  }
  int64_t bind_virq(uint32_t virq) { return adopt(domain_.events().bind_virq(virq, 0)); }
  int64_t unbind(Port port);
  int64_t notify(Port port);
  int64_t unmask(Port port);

  void raise(Port port) override;

 private:
  int64_t adopt(int64_t port);

  Domain& domain_;
  std::set<Port> ports_;
  int read_end_ = -1;  // kept, or a sender would get SIGPIPE when the client closes it
  int write_end_ = -1;
};

}  // namespace ringside::sim::dropin
