#include <cstring>

#include "sim/machine/hypercalls.hpp"

namespace ringside::sim {
namespace {

int64_t set_param(const Caller& caller, const xen_hvm_param_t& op) {
  int64_t why = 0;
  Domain* domain = target_of(caller, op.domid, why);
  if (domain == nullptr) return why;
  if (op.index >= HVM_NR_PARAMS) return error(XEN_EINVAL);
  // Of its own parameters a guest sets where events go; the rest is the toolstack's.
  const bool of_events = op.index == HVM_PARAM_CALLBACK_IRQ || op.index == HVM_PARAM_STORE_EVTCHN ||
                         op.index == HVM_PARAM_CONSOLE_EVTCHN;
  if (!caller.privileged() && !of_events) return error(XEN_EPERM);
  domain->set_hvm_param(op.index, op.value);
  return 0;
}

int64_t get_param(const Caller& caller, xen_hvm_param_t& op) {
  int64_t why = 0;
  Domain* domain = target_of(caller, op.domid, why);
  if (domain == nullptr) return why;
  if (op.index >= HVM_NR_PARAMS) return error(XEN_EINVAL);
  op.value = domain->hvm_param(op.index);
  return 0;
}

int64_t set_upcall_vector(const Caller& caller, const xen_hvm_evtchn_upcall_vector_t& op) {
  if (!caller.machine.config().upcall_vector) return error(XEN_ENOSYS);
  if (op.vcpu >= caller.domain.vcpus()) return error(XEN_ENOENT);
  constexpr uint8_t kFirstUsable = 0x10;  // below are exceptions
  if (op.vector < kFirstUsable) return error(XEN_EINVAL);
  caller.domain.set_upcall_vector(op.vcpu, op.vector);
  return 0;
}

bool any_pending(const Caller& caller, const sched_poll_t& op) {
  for (unsigned i = 0; i < op.nr_ports; ++i) {
    if (caller.domain.events().pending(op.ports.p[i])) return true;
  }
  return false;
}

int64_t poll(const Caller& caller, const sched_poll_t& op) {
  constexpr unsigned kMaxPorts = 128;
  if (op.nr_ports > kMaxPorts) return error(XEN_EINVAL);
  EventChannels& events = caller.domain.events();
  for (unsigned i = 0; i < op.nr_ports; ++i) {
    if (op.ports.p[i] == 0 || op.ports.p[i] >= events.max_ports()) return error(XEN_EINVAL);
  }
  Actor* self = Actor::current();
  if (self == nullptr) return 0;
  events.pollers.fetch_add(1);
  self->wait([&] { return any_pending(caller, op); },
             op.timeout == 0 ? platform::kForever : op.timeout);
  events.pollers.fetch_sub(1);
  return 0;
}

int64_t remote_shutdown(const Caller& caller, const sched_remote_shutdown_t& op) {
  int64_t why = 0;
  Domain* domain = target_of(caller, op.domain_id, why);
  if (domain == nullptr) return why;
  domain->set_shutdown(op.reason);
  return 0;
}

int64_t shut_down(const Caller& caller, unsigned reason) {
  if (reason > SHUTDOWN_MAX) return error(XEN_EINVAL);
  if (reason == SHUTDOWN_suspend) return caller.domain.suspend();
  caller.domain.set_shutdown(reason);
  return 0;
}

int64_t get_features(xen_feature_info_t& info) {
  info.submap = info.submap_idx != 0
                    ? 0
                    : 1u << XENFEAT_writable_page_tables | 1u << XENFEAT_auto_translated_physmap |
                          1u << XENFEAT_supervisor_mode_kernel | 1u << XENFEAT_pae_pgdir_above_4gb |
                          1u << XENFEAT_hvm_callback_vector | 1u << XENFEAT_hvm_safe_pvclock;
  return 0;
}

}  // namespace

int64_t hvm_op(const Caller& caller, unsigned command, uint64_t argument) {
  if (argument == 0) return error(XEN_EFAULT);
  switch (command) {
    case HVMOP_set_param: return set_param(caller, *argument_at<xen_hvm_param_t>(argument));
    case HVMOP_get_param: return get_param(caller, *argument_at<xen_hvm_param_t>(argument));
    case HVMOP_set_evtchn_upcall_vector:
      return set_upcall_vector(caller, *argument_at<xen_hvm_evtchn_upcall_vector_t>(argument));
    default: return error(XEN_ENOSYS);
  }
}

int64_t sched_op(const Caller& caller, unsigned command, uint64_t argument) {
  if (command == SCHEDOP_yield) {
    if (Actor* self = Actor::current()) self->yield();
    return 0;
  }
  if (argument == 0) return error(XEN_EFAULT);
  switch (command) {
    case SCHEDOP_shutdown:
      return shut_down(caller, argument_at<sched_shutdown_t>(argument)->reason);
    case SCHEDOP_poll: return poll(caller, *argument_at<sched_poll_t>(argument));
    case SCHEDOP_remote_shutdown:
      return remote_shutdown(caller, *argument_at<sched_remote_shutdown_t>(argument));
    default: return error(XEN_ENOSYS);
  }
}

int64_t xen_version(const Caller& caller, unsigned command, uint64_t argument) {
  switch (command) {
    case XENVER_version: return caller.machine.config().xen_version;
    case XENVER_pagesize: return kPageSize;
    case XENVER_get_features:
      if (argument == 0) return error(XEN_EFAULT);
      return get_features(*argument_at<xen_feature_info_t>(argument));
    default: return error(XEN_ENOSYS);
  }
}

int64_t vcpu_op(const Caller& caller, unsigned command, uint64_t vcpu, uint64_t argument) {
  if (vcpu >= caller.domain.vcpus()) return error(XEN_ENOENT);
  if (command != VCPUOP_register_vcpu_info) return error(XEN_ENOSYS);
  if (argument == 0) return error(XEN_EFAULT);
  const auto& op = *argument_at<vcpu_register_vcpu_info_t>(argument);
  const bool moved = caller.domain.move_vcpu_info(static_cast<unsigned>(vcpu), op.mfn, op.offset);
  return moved ? 0 : error(XEN_EINVAL);
}

}  // namespace ringside::sim
