// libxenevtchn over the simulated machine, with the behaviour of /dev/xen/evtchn: an event
// masks its port until it is unmasked; ports belong to the handle that bound them. Source:
// xenevtchn.h, xen/sys/evtchn.h. Unlike the device, xenevtchn_pending() does not wait but
// answers EAGAIN, as on a non-blocking descriptor.

// The public headers as the machine uses them, before libxen asks for an older form of them.
#include "protocols/platform/xen.hpp"

extern "C" {
#include <xenevtchn.h>
}

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <mutex>
#include <set>

#include "sim/libxen/handles.hpp"

using ringside::sim::Actor;
using ringside::sim::Domain;
using ringside::sim::DomainId;
using ringside::sim::EventSink;
using ringside::sim::Machine;
using ringside::sim::Port;

struct xenevtchn_handle final : EventSink {
  explicit xenevtchn_handle(Domain& owner) : domain(owner), user(Actor::current()) {}

  void raise(Port port) override {
    // Already queued, and not unmasked since.
    if (domain.events().mask(port)) return;
    domain.events().take_pending(port);
    {
      const std::lock_guard lock(mutex);
      raised.push_back(port);
      announce();
    }
    if (Actor* actor = user.load()) actor->wake();
  }
  /// Makes the descriptor readable, if there is one. The mutex is held.
  void announce() const {
    if (fd >= 0 && eventfd_write(fd, 1) != 0) errno = 0;
  }
  /// The handle is often opened at set-up and then used by one actor: that one is woken.
  void note_user() {
    Actor* actor = Actor::current();
    if (actor != nullptr && user.load(std::memory_order_relaxed) != actor) user.store(actor);
  }
  bool owns(Port port) const {
    const std::lock_guard lock(mutex);
    return ports.contains(port);
  }
  int64_t adopt(int64_t result);

  Domain& domain;
  std::atomic<Actor*> user;
  mutable std::mutex mutex;  // guards the rest
  std::set<Port> ports;
  std::deque<Port> raised;
  int fd = -1;
};

namespace {

int fail(int number) {
  errno = number;
  return -1;
}

int result_of(int64_t result) {
  return result < 0 ? fail(static_cast<int>(-result)) : static_cast<int>(result);
}

}  // namespace

int64_t xenevtchn_handle::adopt(int64_t result) {
  note_user();
  if (result < 0) return result;
  const Port port = static_cast<Port>(result);
  {
    const std::lock_guard lock(mutex);
    ports.insert(port);
  }
  domain.events().unmask(port);
  domain.events().route(port, this);
  return result;
}

xenevtchn_handle* xenevtchn_open(xentoollog_logger*, unsigned) {
  Domain* domain = ringside::sim::domain_of_caller();
  if (domain == nullptr) {
    errno = ENODEV;
    return nullptr;
  }
  return new xenevtchn_handle(*domain);
}

int xenevtchn_close(xenevtchn_handle* xce) {
  if (xce == nullptr) return 0;
  const std::set<Port> ports = xce->ports;
  for (const Port port : ports) xenevtchn_unbind(xce, port);
  if (xce->fd >= 0) close(xce->fd);
  delete xce;
  return 0;
}

int xenevtchn_fd(xenevtchn_handle* xce) {
  const std::lock_guard lock(xce->mutex);
  if (xce->fd < 0) {
    xce->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!xce->raised.empty()) xce->announce();
  }
  return xce->fd;
}

int xenevtchn_notify(xenevtchn_handle* xce, evtchn_port_t port) {
  if (!xce->owns(port)) return fail(ENOTCONN);
  return result_of(xce->domain.events().send(port));
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle* xce, uint32_t domid) {
  return result_of(xce->adopt(xce->domain.events().alloc_unbound(static_cast<DomainId>(domid))));
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle* xce, uint32_t domid,
                                                     evtchn_port_t remote_port) {
  return result_of(
      xce->adopt(xce->domain.events().bind_interdomain(static_cast<DomainId>(domid), remote_port)));
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle* xce, unsigned virq) {
  return result_of(xce->adopt(xce->domain.events().bind_virq(virq, 0)));
}

int xenevtchn_unbind(xenevtchn_handle* xce, evtchn_port_t port) {
  if (!xce->owns(port)) return fail(ENOTCONN);
  xce->domain.events().route(port, nullptr);
  xce->domain.events().close(port);
  const std::lock_guard lock(xce->mutex);
  xce->ports.erase(port);
  std::erase(xce->raised, port);
  return 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle* xce) {
  xce->note_user();
  const std::lock_guard lock(xce->mutex);
  if (xce->raised.empty()) return fail(EAGAIN);
  const Port port = xce->raised.front();
  xce->raised.pop_front();
  if (xce->fd >= 0 && xce->raised.empty()) {
    eventfd_t count = 0;
    (void)!eventfd_read(xce->fd, &count);
  }
  return static_cast<xenevtchn_port_or_error_t>(port);
}

int xenevtchn_unmask(xenevtchn_handle* xce, evtchn_port_t port) {
  // The device takes the ports that are the handle's and passes over others.
  if (xce->owns(port)) xce->domain.events().unmask(port);
  return 0;
}
