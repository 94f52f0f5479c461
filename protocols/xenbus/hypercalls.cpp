#include "protocols/xenbus/hypercalls.hpp"

#include "protocols/platform/xen.hpp"

namespace ringside::xenbus {

Status status_of(int64_t result) {
  if (result >= 0) return Status::kOk;
  switch (-result) {
    case XEN_EINVAL: return Status::kInvalidArgument;
    case XEN_ENOENT:
    case XEN_ESRCH: return Status::kNotFound;
    case XEN_EEXIST: return Status::kExists;
    case XEN_ENOMEM: return Status::kNoMemory;
    case XEN_ENOSPC: return Status::kNoResources;
    case XEN_EBUSY: return Status::kBusy;
    case XEN_EAGAIN: return Status::kAgain;
    case XEN_EACCES:
    case XEN_EPERM: return Status::kAccessDenied;
    case XEN_ENOSYS:
    case XEN_EOPNOTSUPP: return Status::kNotSupported;
    case XEN_E2BIG: return Status::kTooLarge;
    case XEN_EROFS: return Status::kReadOnly;
    default: return Status::kIoError;
  }
}

template <typename Argument>
int64_t Hypercalls::operate(unsigned number, uint64_t command, Argument& argument) {
  return xen_.call(number, command, reinterpret_cast<uintptr_t>(&argument));
}

Status Hypercalls::add_to_physmap(unsigned space, uint64_t index, platform::Frame where) {
  xen_add_to_physmap argument{};
  argument.domid = DOMID_SELF;
  argument.space = space;
  argument.idx = static_cast<xen_ulong_t>(index);
  argument.gpfn = static_cast<xen_pfn_t>(where);
  return status_of(operate(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, argument));
}

Status Hypercalls::remove_from_physmap(platform::Frame where) {
  xen_remove_from_physmap argument{};
  argument.domid = DOMID_SELF;
  argument.gpfn = static_cast<xen_pfn_t>(where);
  return status_of(operate(__HYPERVISOR_memory_op, XENMEM_remove_from_physmap, argument));
}

Result<uint64_t> Hypercalls::parameter(uint32_t parameter) {
  xen_hvm_param argument{};
  argument.domid = DOMID_SELF;
  argument.index = parameter;
  const Status status = status_of(operate(__HYPERVISOR_hvm_op, HVMOP_get_param, argument));
  if (!ok(status)) return status;
  return uint64_t{argument.value};
}

Result<Hypercalls::GrantTableSize> Hypercalls::grant_table_size() {
  gnttab_query_size argument{};
  argument.dom = DOMID_SELF;
  const int64_t result = xen_.call(__HYPERVISOR_grant_table_op, GNTTABOP_query_size,
                                   reinterpret_cast<uintptr_t>(&argument), 1);
  if (!ok(status_of(result))) return status_of(result);
  if (argument.status != GNTST_okay) return Status::kIoError;
  return GrantTableSize{.frames = argument.nr_frames, .max_frames = argument.max_nr_frames};
}

Result<Port> Hypercalls::alloc_unbound(DomainId peer) {
  evtchn_alloc_unbound argument{};
  argument.dom = DOMID_SELF;
  argument.remote_dom = peer;
  const Status status =
      status_of(operate(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, argument));
  if (!ok(status)) return status;
  return Port{argument.port};
}

Result<Port> Hypercalls::bind_interdomain(DomainId peer, Port remote) {
  evtchn_bind_interdomain argument{};
  argument.remote_dom = peer;
  argument.remote_port = remote;
  const Status status =
      status_of(operate(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, argument));
  if (!ok(status)) return status;
  return Port{argument.local_port};
}

Status Hypercalls::bind_vcpu(Port port, unsigned vcpu) {
  evtchn_bind_vcpu argument{};
  argument.port = port;
  argument.vcpu = vcpu;
  return status_of(operate(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_vcpu, argument));
}

Status Hypercalls::send(Port port) {
  evtchn_send argument{.port = port};
  return status_of(operate(__HYPERVISOR_event_channel_op, EVTCHNOP_send, argument));
}

Status Hypercalls::unmask(Port port) {
  evtchn_unmask argument{.port = port};
  return status_of(operate(__HYPERVISOR_event_channel_op, EVTCHNOP_unmask, argument));
}

Status Hypercalls::close(Port port) {
  evtchn_close argument{.port = port};
  return status_of(operate(__HYPERVISOR_event_channel_op, EVTCHNOP_close, argument));
}

Result<bool> Hypercalls::suspend() {
  sched_shutdown argument{};
  argument.reason = SHUTDOWN_suspend;
  const int64_t result = operate(__HYPERVISOR_sched_op, SCHEDOP_shutdown, argument);
  if (result < 0) return status_of(result);
  return result == 0;
}

}  // namespace ringside::xenbus
