#include "sim/machine/hypercalls.hpp"

namespace ringside::sim {
namespace {

/// Shared frame `index` of the table, or with XENMAPIDX_grant_table_status status frame `index`;
/// the table grows as far as it must and may.
std::optional<MachineFrame> grant_frame(GrantTable& grants, uint64_t index) {
  if (grants.version() == 2 && (index & XENMAPIDX_grant_table_status) != 0) {
    return grants.status_frame(index & ~uint64_t{XENMAPIDX_grant_table_status});
  }
  if (index >= grants.max_frames()) return std::nullopt;
  grants.grow(static_cast<uint32_t>(index) + 1);
  return grants.shared_frame(static_cast<uint32_t>(index));
}

int64_t add_to_physmap(const Caller& caller, const xen_add_to_physmap_t& op) {
  int64_t why = 0;
  Domain* domain = target_of(caller, op.domid, why);
  if (domain == nullptr) return why;
  MachineFrame frame = 0;
  bool owned = false;
  switch (op.space) {
    case XENMAPSPACE_shared_info:
      if (op.idx != 0) return error(XEN_EINVAL);
      frame = domain->shared_info_frame();
      break;
    case XENMAPSPACE_grant_table: {
      const auto granted = grant_frame(domain->grants(), op.idx);
      if (!granted) return error(XEN_EINVAL);
      frame = *granted;
      break;
    }
    case XENMAPSPACE_gmfn: {
      const auto moved = domain->machine_frame(op.idx);
      if (!moved) return error(XEN_EINVAL);
      frame = *moved;
      owned = true;
      break;
    }
    default: return error(XEN_EINVAL);
  }
  if (op.gpfn >= domain->max_gfn()) return error(XEN_EINVAL);
  // A frame is at one place only: it leaves the former one.
  const uint64_t former = domain->gfn_of(frame);
  if (former == op.gpfn) return 0;
  if (owned) {
    domain->move_page(former, op.gpfn);
    return 0;
  }
  if (former != Domain::kNoFrame) domain->displace(former);
  domain->place(op.gpfn, frame, false);
  return 0;
}

int64_t remove_from_physmap(const Caller& caller, const xen_remove_from_physmap_t& op) {
  int64_t why = 0;
  Domain* domain = target_of(caller, op.domid, why);
  if (domain == nullptr) return why;
  return domain->displace(op.gpfn) ? 0 : error(XEN_ENOENT);
}

/// Both answer with the number of extents done; only single pages are extents here.
int64_t change_reservation(const Caller& caller, const xen_memory_reservation_t& op,
                           bool populate) {
  int64_t why = 0;
  Domain* domain = target_of(caller, op.domid, why);
  if (domain == nullptr) return why;
  if (op.extent_order != 0) return 0;
  uint64_t done = 0;
  for (; done < op.nr_extents; ++done) {
    const uint64_t gfn = op.extent_start.p[done];
    if (!populate) {
      if (!domain->displace(gfn)) break;
      continue;
    }
    if (gfn >= domain->max_gfn() || domain->populated_pages() >= domain->max_pages()) break;
    const auto frame = caller.machine.frames().allocate();
    if (!frame) break;
    domain->place(gfn, *frame, true);
  }
  return static_cast<int64_t>(done);
}

int64_t query(const Caller& caller, unsigned command, uint64_t argument) {
  int64_t why = 0;
  Domain* domain = target_of(caller, *argument_at<domid_t>(argument), why);
  if (domain == nullptr) return why;
  switch (command) {
    case XENMEM_current_reservation: return domain->populated_pages();
    case XENMEM_maximum_reservation: return domain->max_pages();
    default: return static_cast<int64_t>(domain->max_gfn() - 1);
  }
}

}  // namespace

int64_t memory_op(const Caller& caller, unsigned command, uint64_t argument) {
  if (argument == 0) return error(XEN_EFAULT);
  switch (command) {
    case XENMEM_add_to_physmap:
      return add_to_physmap(caller, *argument_at<xen_add_to_physmap_t>(argument));
    case XENMEM_remove_from_physmap:
      return remove_from_physmap(caller, *argument_at<xen_remove_from_physmap_t>(argument));
    case XENMEM_decrease_reservation:
      return change_reservation(caller, *argument_at<xen_memory_reservation_t>(argument), false);
    case XENMEM_populate_physmap:
      return change_reservation(caller, *argument_at<xen_memory_reservation_t>(argument), true);
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn: return query(caller, command, argument);
    default: return error(XEN_ENOSYS);
  }
}

}  // namespace ringside::sim
