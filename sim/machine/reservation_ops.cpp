#include "sim/machine/hypercalls.hpp"

namespace ringside::sim {
namespace {

/// The largest extent a caller may ask for: 2 MiB, a control domain 1 GiB.
unsigned max_order(const Caller& caller) { return caller.privileged() ? 18 : 9; }

bool decrease(Domain& domain, uint64_t gfn, unsigned order) {
  // What of an extent is gone stays gone when the rest can't follow.
  for (uint64_t i = 0; i < uint64_t{1} << order; ++i) {
    if (!domain.displace(gfn + i)) return false;
  }
  return true;
}

bool change(Domain& domain, unsigned command, const xen_memory_reservation_t& op, uint64_t at) {
  switch (command) {
    case XENMEM_decrease_reservation:
      return decrease(domain, op.extent_start.p[at], op.extent_order);
    case XENMEM_populate_physmap: return domain.populate(op.extent_start.p[at], op.extent_order);
    default: return domain.add_unplaced(op.extent_order);
  }
}

/// Only a call about another domain's memory has an error; what can't be read, is too large, or
/// not there just ends the work. The answer is how many extents were done.
int64_t change_reservation(const Caller& caller, unsigned command, uint64_t argument) {
  constexpr uint64_t kMaxExtents = ~uint64_t{0} >> 6;
  if (!accessible(argument, sizeof(xen_memory_reservation_t))) return 0;
  const xen_memory_reservation_t op = *argument_at<xen_memory_reservation_t>(argument);
  if (op.nr_extents > kMaxExtents) return 0;
  int64_t why = 0;
  Domain* domain = target_of(caller, op.domid, why);
  if (domain == nullptr) return why == error(XEN_ESRCH) ? 0 : why;
  const bool list_needed = command != XENMEM_increase_reservation || op.extent_start.p != nullptr;
  if (list_needed && !accessible(op.extent_start.p, op.nr_extents)) return 0;
  if (op.extent_order > max_order(caller)) return 0;
  // Memory on demand is what others populate a domain with.
  const bool on_demand =
      command == XENMEM_populate_physmap && (op.mem_flags & XENMEMF_populate_on_demand) != 0;
  if (on_demand && domain == &caller.domain) return 0;
  uint64_t done = 0;
  while (done < op.nr_extents && change(*domain, command, op, done)) ++done;
  return static_cast<int64_t>(done);
}

/// For domains whose frame numbers are machine frames; no HVM domain's are.
int64_t exchange(uint64_t argument) {
  const bool readable = accessible(argument, sizeof(xen_memory_exchange_t));
  return error(readable ? XEN_EOPNOTSUPP : XEN_EFAULT);
}

}  // namespace

int64_t reservation_op(const Caller& caller, unsigned command, uint64_t argument) {
  if (command == XENMEM_exchange) return exchange(argument);
  return change_reservation(caller, command, argument);
}

}  // namespace ringside::sim
