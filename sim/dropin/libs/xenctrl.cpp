// libxenctrl.so.4.17 over a simulated host in another process: what the daemons of a dom0 and
// QEMU's back ends ask. Source: xenctrl.h.
extern "C" {
#include <xenctrl.h>
}

#include <cerrno>
#include <cstring>
#include <new>

#include "sim/dropin/libs/channel.hpp"

using namespace ringside::sim::dropin;

struct xc_interface_core {
  Channel channel;
};

namespace {

constexpr unsigned long kKibPerPage = 4;
constexpr unsigned kCrashed = 3;  // SHUTDOWN_crash

/// Calls `take` with each domain from `first` on, `most` at most: how many, or -1 with errno.
template <typename Take>
int each_domain(xc_interface* xch, uint32_t first, unsigned most, Take take) {
  unsigned count = 0;
  while (count < most) {
    Reply reply;
    const int found = xch->channel.call(Request(Operation::kDomainInfo, first), reply);
    if (found < 0) return -1;
    if (found == 0) break;
    take(count++, reply.domain);
    first = reply.domain.domain + 1;
  }
  return static_cast<int>(count);
}

}  // namespace

RINGSIDE_EXPORT xc_interface* xc_interface_open(xentoollog_logger*, xentoollog_logger*, unsigned) {
  auto* xch = new (std::nothrow) xc_interface;
  if (xch == nullptr || xch->channel.open(Operation::kOpenControl)) return xch;
  const int why = errno;
  delete xch;
  errno = why;
  return nullptr;
}

RINGSIDE_EXPORT int xc_interface_close(xc_interface* xch) {
  delete xch;
  return 0;
}

RINGSIDE_EXPORT int xc_evtchn_status(xc_interface* xch, xc_evtchn_status_t* status) {
  Reply reply;
  const Request request(Operation::kPortStatus, status->dom, status->port);
  if (xch->channel.call(request, reply) < 0) return -1;
  status->status = reply.port.status;
  status->vcpu = reply.port.vcpu;
  std::memcpy(&status->u, reply.port.detail, sizeof(status->u));
  return 0;
}

RINGSIDE_EXPORT int xc_domain_getinfo(xc_interface* xch, uint32_t first, unsigned most,
                                      xc_dominfo_t* info) {
  return each_domain(xch, first, most, [info](unsigned i, const DomainInfo& domain) {
    xc_dominfo_t& to = info[i];
    to = {};
    to.domid = domain.domain;
    to.dying = domain.dying & 1;
    to.shutdown = domain.shut_down & 1;
    to.crashed = domain.shut_down != 0 && domain.shutdown_reason == kCrashed;
    to.paused = domain.paused & 1;
    to.hvm = domain.hvm & 1;
    to.shutdown_reason = domain.shutdown_reason;
    to.nr_pages = domain.pages;
    to.max_memkb = domain.max_pages * kKibPerPage;
    to.nr_online_vcpus = domain.vcpus;
    to.max_vcpu_id = domain.vcpus - 1;
    std::memcpy(to.handle, domain.handle, sizeof(to.handle));
  });
}

RINGSIDE_EXPORT int xc_domain_getinfolist(xc_interface* xch, uint32_t first, unsigned most,
                                          xc_domaininfo_t* info) {
  return each_domain(xch, first, most, [info](unsigned i, const DomainInfo& domain) {
    xc_domaininfo_t& to = info[i];
    to = {};
    to.domain = static_cast<domid_t>(domain.domain);
    if (domain.dying != 0) to.flags |= XEN_DOMINF_dying;
    if (domain.shut_down != 0) to.flags |= XEN_DOMINF_shutdown;
    if (domain.paused != 0) to.flags |= XEN_DOMINF_paused;
    if (domain.hvm != 0) to.flags |= XEN_DOMINF_hvm_guest;
    to.flags |= domain.shutdown_reason << XEN_DOMINF_shutdownshift;
    to.tot_pages = domain.pages;
    to.max_pages = domain.max_pages;
    to.nr_online_vcpus = domain.vcpus;
    to.max_vcpu_id = domain.vcpus - 1;
    std::memcpy(to.handle, domain.handle, sizeof(to.handle));
  });
}
