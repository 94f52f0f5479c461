#include "protocols/xenbus/hypercalls.hpp"

#include <algorithm>
#include <array>

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

Status status_of_grant(int16_t code) {
  switch (code) {
    case GNTST_okay: return Status::kOk;
    case GNTST_bad_domain: return Status::kNotFound;
    case GNTST_bad_gntref:
    case GNTST_bad_handle:
    case GNTST_bad_copy_arg: return Status::kInvalidArgument;
    case GNTST_no_device_space:
    case GNTST_no_space: return Status::kNoResources;
    case GNTST_permission_denied: return Status::kAccessDenied;
    case GNTST_eagain: return Status::kAgain;
    default: return Status::kIoError;
  }
}

template <typename Argument>
int64_t Hypercalls::operate(unsigned number, uint64_t command, Argument& argument) {
  return xen_.call(number, command, reinterpret_cast<uintptr_t>(&argument));
}

template <typename Argument>
Status Hypercalls::event_op(uint64_t command, Argument& argument) {
  return status_of(operate(__HYPERVISOR_event_channel_op, command, argument));
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

Result<size_t> Hypercalls::give_to_xen(std::span<const platform::Frame> frames) {
  return change_reservation(XENMEM_decrease_reservation, frames);
}

Result<size_t> Hypercalls::populate(std::span<const platform::Frame> frames) {
  return change_reservation(XENMEM_populate_physmap, frames);
}

Result<size_t> Hypercalls::change_reservation(unsigned command,
                                              std::span<const platform::Frame> frames) {
  std::array<xen_pfn_t, 64> extents;
  size_t done = 0;
  while (done < frames.size()) {
    const size_t count = std::min(extents.size(), frames.size() - done);
    for (size_t i = 0; i < count; ++i) extents[i] = static_cast<xen_pfn_t>(frames[done + i]);
    xen_memory_reservation argument{};
    set_xen_guest_handle(argument.extent_start, extents.data());
    argument.nr_extents = static_cast<xen_ulong_t>(count);
    argument.domid = DOMID_SELF;
    const int64_t result = operate(__HYPERVISOR_memory_op, command, argument);
    if (result < 0 && done == 0) return status_of(result);
    if (result <= 0) break;
    // MEMORY-002: the answer is trusted no further than what was asked for.
    done += std::min(static_cast<size_t>(result), count);
    if (static_cast<size_t>(result) < count) break;
  }
  return done;
}

Result<uint64_t> Hypercalls::parameter(uint32_t parameter) {
  xen_hvm_param argument{};
  argument.domid = DOMID_SELF;
  argument.index = parameter;
  const Status status = status_of(operate(__HYPERVISOR_hvm_op, HVMOP_get_param, argument));
  if (!ok(status)) return status;
  return uint64_t{argument.value};
}

Status Hypercalls::set_parameter(uint32_t parameter, uint64_t value) {
  xen_hvm_param argument{};
  argument.domid = DOMID_SELF;
  argument.index = parameter;
  argument.value = value;
  return status_of(operate(__HYPERVISOR_hvm_op, HVMOP_set_param, argument));
}

Status Hypercalls::set_upcall_vector(unsigned vcpu, uint8_t vector) {
  xen_hvm_evtchn_upcall_vector argument{};
  argument.vcpu = vcpu;
  argument.vector = vector;
  return status_of(operate(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, argument));
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

Status Hypercalls::set_grant_version(uint32_t version) {
  gnttab_set_version argument{.version = version};
  return status_of(xen_.call(__HYPERVISOR_grant_table_op, GNTTABOP_set_version,
                             reinterpret_cast<uintptr_t>(&argument), 1));
}

Result<uint32_t> Hypercalls::grant_version() {
  gnttab_get_version argument{};
  argument.dom = DOMID_SELF;
  const Status status = status_of(xen_.call(__HYPERVISOR_grant_table_op, GNTTABOP_get_version,
                                            reinterpret_cast<uintptr_t>(&argument), 1));
  if (!ok(status)) return status;
  return uint32_t{argument.version};
}

Result<platform::Frame> Hypercalls::maximum_frame() {
  domid_t self = DOMID_SELF;
  const int64_t result = operate(__HYPERVISOR_memory_op, XENMEM_maximum_gpfn, self);
  if (result < 0) return status_of(result);
  return static_cast<platform::Frame>(result);
}

Result<uint32_t> Hypercalls::map_grant(DomainId peer, GrantRef ref, Access access,
                                       platform::Frame where) {
  gnttab_map_grant_ref argument{};
  argument.host_addr = where * platform::kPageSize;
  argument.flags = GNTMAP_host_map | (access == Access::kReadOnly ? GNTMAP_readonly : 0u);
  argument.ref = ref;
  argument.dom = peer;
  const int64_t result = xen_.call(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref,
                                   reinterpret_cast<uintptr_t>(&argument), 1);
  if (!ok(status_of(result))) return status_of(result);
  if (argument.status != GNTST_okay) return status_of_grant(argument.status);
  return uint32_t{argument.handle};
}

Status Hypercalls::unmap_grant(uint32_t handle, platform::Frame where) {
  gnttab_unmap_grant_ref argument{};
  argument.host_addr = where * platform::kPageSize;
  argument.handle = handle;
  const int64_t result = xen_.call(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref,
                                   reinterpret_cast<uintptr_t>(&argument), 1);
  return ok(status_of(result)) ? status_of_grant(argument.status) : status_of(result);
}

Result<Port> Hypercalls::alloc_unbound(DomainId peer) {
  evtchn_alloc_unbound argument{};
  argument.dom = DOMID_SELF;
  argument.remote_dom = peer;
  const Status status = event_op(EVTCHNOP_alloc_unbound, argument);
  if (!ok(status)) return status;
  return Port{argument.port};
}

Result<Port> Hypercalls::bind_interdomain(DomainId peer, Port remote) {
  evtchn_bind_interdomain argument{};
  argument.remote_dom = peer;
  argument.remote_port = remote;
  const Status status = event_op(EVTCHNOP_bind_interdomain, argument);
  if (!ok(status)) return status;
  return Port{argument.local_port};
}

Result<Port> Hypercalls::bind_virq(uint32_t virq, unsigned vcpu) {
  evtchn_bind_virq argument{};
  argument.virq = virq;
  argument.vcpu = vcpu;
  const Status status = event_op(EVTCHNOP_bind_virq, argument);
  if (!ok(status)) return status;
  return Port{argument.port};
}

Status Hypercalls::bind_vcpu(Port port, unsigned vcpu) {
  evtchn_bind_vcpu argument{};
  argument.port = port;
  argument.vcpu = vcpu;
  return event_op(EVTCHNOP_bind_vcpu, argument);
}

Status Hypercalls::send(Port port) {
  evtchn_send argument{.port = port};
  return event_op(EVTCHNOP_send, argument);
}

Status Hypercalls::unmask(Port port) {
  evtchn_unmask argument{.port = port};
  return event_op(EVTCHNOP_unmask, argument);
}

Status Hypercalls::close(Port port) {
  evtchn_close argument{.port = port};
  return event_op(EVTCHNOP_close, argument);
}

Result<Hypercalls::RemotePort> Hypercalls::remote_of(Port port) {
  evtchn_status argument{};
  argument.dom = DOMID_SELF;
  argument.port = port;
  const Status status = event_op(EVTCHNOP_status, argument);
  if (!ok(status)) return status;
  if (argument.status == EVTCHNSTAT_unbound) return RemotePort{.domain = argument.u.unbound.dom};
  if (argument.status != EVTCHNSTAT_interdomain) return Status::kNotFound;
  return RemotePort{.domain = argument.u.interdomain.dom, .port = argument.u.interdomain.port};
}

Status Hypercalls::reset_events() {
  evtchn_reset argument{.dom = DOMID_SELF};
  return event_op(EVTCHNOP_reset, argument);
}

Status Hypercalls::init_fifo_control(unsigned vcpu, platform::Frame frame, uint32_t offset) {
  evtchn_init_control argument{};
  argument.control_gfn = frame;
  argument.offset = offset;
  argument.vcpu = vcpu;
  return event_op(EVTCHNOP_init_control, argument);
}

Status Hypercalls::expand_fifo_array(platform::Frame frame) {
  evtchn_expand_array argument{.array_gfn = frame};
  return event_op(EVTCHNOP_expand_array, argument);
}

Result<bool> Hypercalls::suspend() {
  sched_shutdown argument{};
  argument.reason = SHUTDOWN_suspend;
  const int64_t result = operate(__HYPERVISOR_sched_op, SCHEDOP_shutdown, argument);
  if (result < 0) return status_of(result);
  return result == 0;
}

}  // namespace ringside::xenbus
