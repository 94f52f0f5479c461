#pragma once

#include <cstdint>

#include "sim/machine/machine.hpp"
#include "sim/machine/xen_errno.hpp"

namespace ringside::sim {

/// Who makes a hypercall.
struct Caller {
  Machine& machine;
  Domain& domain;
  unsigned vcpu;

  bool privileged() const { return domain.id() == 0; }
};

/// The domain a call is about: DOMID_SELF, the caller itself, or for a privileged caller any
/// living one. Otherwise null, and `why` is -ESRCH or -EPERM.
Domain* target_of(const Caller& caller, DomainId id, int64_t& why);

/// The argument structure at address `argument`; null for address 0.
template <typename T>
T* argument_at(uint64_t argument) {
  return reinterpret_cast<T*>(argument);
}

int64_t grant_table_op(const Caller& caller, unsigned command, uint64_t argument, uint64_t count);
int64_t event_channel_op(const Caller& caller, unsigned command, uint64_t argument);
int64_t memory_op(const Caller& caller, unsigned command, uint64_t argument);
int64_t hvm_op(const Caller& caller, unsigned command, uint64_t argument);
int64_t sched_op(const Caller& caller, unsigned command, uint64_t argument);
int64_t xen_version(const Caller& caller, unsigned command, uint64_t argument);
int64_t vcpu_op(const Caller& caller, unsigned command, uint64_t vcpu, uint64_t argument);

}  // namespace ringside::sim
