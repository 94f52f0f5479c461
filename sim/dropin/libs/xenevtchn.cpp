// libxenevtchn.so.1 over a simulated host in another process. Source: xenevtchn.h.
extern "C" {
#include <xenevtchn.h>
}

#include <unistd.h>

#include <cerrno>
#include <new>

#include "sim/dropin/libs/channel.hpp"

using ringside::sim::dropin::Channel;
using ringside::sim::dropin::Operation;
using ringside::sim::dropin::Request;
using ringside::sim::dropin::unsupported;

struct xenevtchn_handle {
  Channel channel;
};

RINGSIDE_EXPORT xenevtchn_handle* xenevtchn_open(xentoollog_logger*, unsigned) {
  auto* handle = new (std::nothrow) xenevtchn_handle;
  if (handle == nullptr || handle->channel.open(Operation::kOpenEvents)) return handle;
  const int why = errno;
  delete handle;
  errno = why;
  return nullptr;
}

RINGSIDE_EXPORT int xenevtchn_close(xenevtchn_handle* handle) {
  delete handle;
  return 0;
}

RINGSIDE_EXPORT int xenevtchn_fd(xenevtchn_handle* handle) { return handle->channel.file(); }

RINGSIDE_EXPORT int xenevtchn_notify(xenevtchn_handle* handle, evtchn_port_t port) {
  return handle->channel.call(Request(Operation::kNotify, port));
}

RINGSIDE_EXPORT xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle* handle,
                                                                      uint32_t domid) {
  return handle->channel.call(Request(Operation::kBindUnbound, domid));
}

RINGSIDE_EXPORT xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle* handle,
                                                                     uint32_t domid,
                                                                     evtchn_port_t port) {
  return handle->channel.call(Request(Operation::kBindInterdomain, domid, port));
}

RINGSIDE_EXPORT xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle* handle,
                                                              unsigned virq) {
  return handle->channel.call(Request(Operation::kBindVirq, virq));
}

RINGSIDE_EXPORT int xenevtchn_unbind(xenevtchn_handle* handle, evtchn_port_t port) {
  return handle->channel.call(Request(Operation::kUnbind, port));
}

/// Waits for an event unless the program has made the descriptor non-blocking, as the device does.
RINGSIDE_EXPORT xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle* handle) {
  evtchn_port_t port = 0;
  const ssize_t bytes = read(handle->channel.file(), &port, sizeof(port));
  if (bytes == sizeof(port)) return static_cast<xenevtchn_port_or_error_t>(port);
  if (bytes >= 0) errno = EIO;  // the host is gone
  return -1;
}

RINGSIDE_EXPORT int xenevtchn_unmask(xenevtchn_handle* handle, evtchn_port_t port) {
  return handle->channel.call(Request(Operation::kUnmask, port));
}

// For a daemon that is updated while it runs: it would have to take the connection along.
RINGSIDE_EXPORT xenevtchn_handle* xenevtchn_fdopen(xentoollog_logger*, int, unsigned) {
  unsupported("xenevtchn_fdopen");
  return nullptr;
}

RINGSIDE_EXPORT int xenevtchn_restrict(xenevtchn_handle*, domid_t) {
  return unsupported("xenevtchn_restrict");
}
