#pragma once

#include <cstdint>

#include "sim/machine/machine.hpp"
#include "sim/machine/profiles.hpp"
#include "sim/machine/xen_errno.hpp"

namespace ringside::sim {

/// Who makes a hypercall.
struct Caller {
  Machine& machine;
  Domain& domain;
  unsigned vcpu;

  bool privileged() const { return domain.id() == 0; }
  uint32_t xen_version() const { return machine.config().xen_version; }
  bool knows(XenFeature feature) const { return has(xen_version(), feature); }
};

/// The domain a call is about: DOMID_SELF, the caller itself, or for a privileged caller any
/// living one. Otherwise null, and `why` is -ESRCH or -EPERM.
Domain* target_of(const Caller& caller, DomainId id, int64_t& why);

/// The argument structure at address `argument`; null for address 0.
template <typename T>
T* argument_at(uint64_t argument) {
  return reinterpret_cast<T*>(argument);
}

/// Whether a guest can have memory at all of [address, address + bytes). What it gives beyond
/// that answers with -EFAULT, or as the call's rules say; the rest it must have, as in a process.
bool accessible(uint64_t address, uint64_t bytes);
template <typename T>
bool accessible(const T* items, uint64_t count) {
  return count <= ~uint64_t{0} / sizeof(T) &&
         accessible(reinterpret_cast<uint64_t>(items), count * sizeof(T));
}

/// Calls `function` with the argument structure, which it may change; -EFAULT when there is none.
template <typename Op, typename Function>
int64_t with_argument(const Caller& caller, uint64_t argument, Function function) {
  if (!accessible(argument, sizeof(Op))) return error(XEN_EFAULT);
  return function(caller, *argument_at<Op>(argument));
}

int64_t grant_table_op(const Caller& caller, unsigned command, uint64_t argument, uint64_t count);
int64_t event_channel_op(const Caller& caller, unsigned command, uint64_t argument);
int64_t memory_op(const Caller& caller, unsigned command, uint64_t argument);
/// The parts of memory_op() that change what is behind which frame number, and how much.
int64_t physmap_op(const Caller& caller, unsigned command, uint64_t argument);
int64_t reservation_op(const Caller& caller, unsigned command, uint64_t argument);
int64_t hvm_op(const Caller& caller, unsigned command, uint64_t argument);
int64_t sched_op(const Caller& caller, unsigned command, uint64_t argument);
int64_t xen_version(const Caller& caller, unsigned command, uint64_t argument);
int64_t vcpu_op(const Caller& caller, unsigned command, uint64_t vcpu, uint64_t argument);

}  // namespace ringside::sim
