#include "sim/machine/hypercalls.hpp"

namespace ringside::sim {

Domain* target_of(const Caller& caller, DomainId id, int64_t& why) {
  if (id == DOMID_SELF || id == caller.domain.id()) return &caller.domain;
  Domain* domain = caller.machine.find(id);
  if (domain == nullptr) {
    why = error(XEN_ESRCH);
    return nullptr;
  }
  if (!caller.privileged()) {
    why = error(XEN_EPERM);
    return nullptr;
  }
  return domain;
}

bool accessible(uint64_t address, uint64_t bytes) {
  constexpr uint64_t kLowest = 0x10000;  // page 0 and what is around it is no one's
  constexpr uint64_t kEnd = uint64_t{1} << 47;
  if (bytes == 0) return true;
  return address >= kLowest && address < kEnd && bytes <= kEnd - address;
}

int64_t Machine::hypercall(Domain& caller, unsigned vcpu, unsigned number, uint64_t a1, uint64_t a2,
                           uint64_t a3, uint64_t, uint64_t) {
  const Caller who{*this, caller, vcpu};
  const auto command = static_cast<unsigned>(a1);
  int64_t result = error(XEN_ENOSYS);
  switch (number) {
    case __HYPERVISOR_grant_table_op: result = grant_table_op(who, command, a2, a3); break;
    case __HYPERVISOR_event_channel_op: result = event_channel_op(who, command, a2); break;
    case __HYPERVISOR_memory_op: result = memory_op(who, command, a2); break;
    case __HYPERVISOR_hvm_op: result = hvm_op(who, command, a2); break;
    case __HYPERVISOR_sched_op: result = sched_op(who, command, a2); break;
    case __HYPERVISOR_xen_version: result = xen_version(who, command, a2); break;
    case __HYPERVISOR_vcpu_op: result = vcpu_op(who, command, a2, a3); break;
    default: break;
  }
  trace().record(Trace::Kind::kHypercall, "call",
                 {caller.id(), vcpu, number, command, static_cast<uint64_t>(result)});
  return result;
}

}  // namespace ringside::sim
