#include <algorithm>

#include "sim/machine/hypercalls.hpp"

namespace ringside::sim {
namespace {

int64_t query(const Caller& caller, unsigned command, uint64_t argument) {
  if (!accessible(argument, sizeof(xen_memory_domain))) return error(XEN_EFAULT);
  int64_t why = 0;
  Domain* domain = target_of(caller, argument_at<xen_memory_domain>(argument)->domid, why);
  if (domain == nullptr) return why;
  switch (command) {
    case XENMEM_current_reservation: return domain->populated_pages();
    case XENMEM_maximum_reservation: return domain->max_pages();
    default: return static_cast<int64_t>(domain->max_gfn() - 1);
  }
}

/// As it was when the domain was started: what a toolstack set.
int64_t memory_map(const Caller& caller, uint64_t argument) {
  if (caller.domain.hvm() && !caller.knows(XenFeature::kMemoryMap)) return error(XEN_ENOSYS);
  if (!accessible(argument, sizeof(xen_memory_map_t))) return error(XEN_EFAULT);
  auto& op = *argument_at<xen_memory_map_t>(argument);
  const std::vector<E820Entry> map = caller.domain.memory_map();
  if (map.empty()) return error(XEN_ENOSYS);
  const size_t count = std::min<size_t>(op.nr_entries, map.size());
  auto* entries = static_cast<E820Entry*>(op.buffer.p);
  if (!accessible(entries, count)) return error(XEN_EFAULT);
  std::copy_n(map.begin(), count, entries);
  op.nr_entries = static_cast<unsigned>(count);
  return 0;
}

int64_t set_memory_map(const Caller& caller, uint64_t argument) {
  constexpr unsigned kMostEntries = 128;
  if (!accessible(argument, sizeof(xen_foreign_memory_map_t))) return error(XEN_EFAULT);
  const auto& op = *argument_at<xen_foreign_memory_map_t>(argument);
  if (op.map.nr_entries > kMostEntries) return error(XEN_EINVAL);
  int64_t why = 0;
  Domain* domain = target_of(caller, op.domid, why);
  if (domain == nullptr) return why;
  if (!caller.privileged()) return error(XEN_EPERM);
  const auto* entries = static_cast<const E820Entry*>(op.map.buffer.p);
  if (!accessible(entries, op.map.nr_entries)) return error(XEN_EFAULT);
  domain->set_memory_map({entries, entries + op.map.nr_entries});
  return 0;
}

}  // namespace

int64_t memory_op(const Caller& caller, unsigned command, uint64_t argument) {
  switch (command) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
    case XENMEM_exchange: return reservation_op(caller, command, argument);
    case XENMEM_add_to_physmap:
    case XENMEM_add_to_physmap_batch:
    case XENMEM_remove_from_physmap: return physmap_op(caller, command, argument);
    case XENMEM_maximum_ram_page: return caller.machine.frames().frames() - 1;
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn: return query(caller, command, argument);
    case XENMEM_memory_map: return memory_map(caller, argument);
    case XENMEM_set_memory_map: return set_memory_map(caller, argument);
    default: return error(XEN_ENOSYS);
  }
}

}  // namespace ringside::sim
