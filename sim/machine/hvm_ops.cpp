#include "sim/machine/hvm_params.hpp"
#include "sim/machine/hypercalls.hpp"

namespace ringside::sim {
namespace {

Domain* hvm_target(const Caller& caller, DomainId id, int64_t& why) {
  Domain* domain = target_of(caller, id, why);
  if (domain == nullptr || domain->hvm()) return domain;
  why = error(XEN_EINVAL);
  return nullptr;
}

int64_t set_param(const Caller& caller, const xen_hvm_param_t& op) {
  if (op.index >= hvm_params_of(caller.xen_version())) return error(XEN_EINVAL);
  int64_t why = 0;
  Domain* domain = hvm_target(caller, op.domid, why);
  return domain == nullptr ? why : set_hvm_param(caller, *domain, op.index, op.value);
}

int64_t get_param(const Caller& caller, xen_hvm_param_t& op) {
  if (op.index >= hvm_params_of(caller.xen_version())) return error(XEN_EINVAL);
  int64_t why = 0;
  Domain* domain = hvm_target(caller, op.domid, why);
  return domain == nullptr ? why : get_hvm_param(caller, *domain, op.index, op.value);
}

int64_t set_upcall_vector(const Caller& caller, const xen_hvm_evtchn_upcall_vector_t& op) {
  constexpr uint8_t kFirstUsable = 0x10;  // below are exceptions
  if (!caller.domain.hvm() || op.vector < kFirstUsable) return error(XEN_EINVAL);
  if (op.vcpu >= caller.domain.vcpus()) return error(XEN_ENOENT);
  caller.domain.set_upcall_vector(op.vcpu, op.vector);
  return 0;
}

/// A hint for shadow page tables. Guests here run with nested ones, where Xen has no use for it.
int64_t pagetable_dying(const Caller& caller, const xen_hvm_pagetable_dying_t& op) {
  int64_t why = 0;
  Domain* domain = target_of(caller, op.domid, why);
  if (domain == nullptr) return why;
  const bool refused = caller.knows(XenFeature::kPageTableDyingSelf) && domain != &caller.domain;
  return error(refused ? XEN_EOPNOTSUPP : XEN_EINVAL);
}

int64_t get_mem_type(const Caller& caller, xen_hvm_get_mem_type_t& op) {
  int64_t why = 0;
  Domain* domain = hvm_target(caller, op.domid, why);
  if (domain == nullptr) return why;
  op.mem_type = domain->has_memory(op.pfn) ? HVMMEM_ram_rw : HVMMEM_mmio_dm;
  return 0;
}

int64_t get_time(const Caller& caller, xen_hvm_get_time_t& op) {
  op.now = caller.machine.world().now();
  return 0;
}

int64_t xentrace(const Caller&, const xen_hvm_xentrace_t& op) {
  constexpr unsigned kEventBits = 12;  // TRC_SUBCLS_SHIFT of xen/trace.h
  return op.extra_bytes > sizeof(op.extra) || op.event >> kEventBits != 0 ? error(XEN_EINVAL) : 0;
}

bool exists(const Caller& caller, unsigned command) {
  switch (command) {
    case HVMOP_set_param:
    case HVMOP_get_param:
    case HVMOP_flush_tlbs: return true;
    case HVMOP_pagetable_dying:
    case HVMOP_get_time:
    case HVMOP_xentrace: return caller.knows(XenFeature::kHvmTime);
    case HVMOP_get_mem_type: return caller.knows(XenFeature::kHvmMemType);
    case HVMOP_set_evtchn_upcall_vector: return caller.machine.config().upcall_vector;
    case HVMOP_guest_request_vm_event:
    case HVMOP_altp2m: return caller.knows(XenFeature::kAltp2m);
    default: return false;
  }
}

}  // namespace

int64_t hvm_op(const Caller& caller, unsigned command, uint64_t argument) {
  if (!exists(caller, command)) return error(XEN_ENOSYS);
  switch (command) {
    case HVMOP_set_param: return with_argument<xen_hvm_param_t>(caller, argument, set_param);
    case HVMOP_get_param: return with_argument<xen_hvm_param_t>(caller, argument, get_param);
    case HVMOP_flush_tlbs: return argument == 0 && caller.domain.hvm() ? 0 : error(XEN_EINVAL);
    case HVMOP_pagetable_dying:
      return with_argument<xen_hvm_pagetable_dying_t>(caller, argument, pagetable_dying);
    case HVMOP_get_time: return with_argument<xen_hvm_get_time_t>(caller, argument, get_time);
    case HVMOP_xentrace: return with_argument<xen_hvm_xentrace_t>(caller, argument, xentrace);
    case HVMOP_get_mem_type:
      return with_argument<xen_hvm_get_mem_type_t>(caller, argument, get_mem_type);
    case HVMOP_set_evtchn_upcall_vector:
      return with_argument<xen_hvm_evtchn_upcall_vector_t>(caller, argument, set_upcall_vector);
    case HVMOP_guest_request_vm_event: return argument == 0 ? 0 : error(XEN_EINVAL);
    default: return error(XEN_EOPNOTSUPP);  // altp2m, on a host whose processors can't
  }
}

}  // namespace ringside::sim
