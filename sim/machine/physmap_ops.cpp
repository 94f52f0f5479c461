#include "sim/machine/hypercalls.hpp"

namespace ringside::sim {
namespace {

/// One page that is to appear in a domain's physical address space.
struct Placement {
  unsigned space;
  uint64_t index;
  uint64_t gfn;
};

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

int64_t move_within(Domain& domain, uint64_t from, uint64_t to) {
  if (!domain.back(from) || to >= domain.max_gfn()) return error(XEN_EINVAL);
  if (from != to) domain.move_page(from, to);
  return 0;
}

int64_t place(Domain& domain, const Placement& what) {
  MachineFrame frame = 0;
  switch (what.space) {
    case XENMAPSPACE_shared_info:
      if (what.index != 0) return error(XEN_EINVAL);
      frame = domain.shared_info_frame();
      break;
    case XENMAPSPACE_grant_table: {
      const auto granted = grant_frame(domain.grants(), what.index);
      if (!granted) return error(XEN_EINVAL);
      frame = *granted;
      break;
    }
    case XENMAPSPACE_gmfn:
    case XENMAPSPACE_gmfn_range: return move_within(domain, what.index, what.gfn);
    default: return error(XEN_EINVAL);  // dev_mmio is for Arm
  }
  if (what.gfn >= domain.max_gfn()) return error(XEN_EINVAL);
  // A frame is at one place only: it leaves the former one.
  const uint64_t former = domain.gfn_of(frame);
  if (former == what.gfn) return 0;
  if (former != Domain::kNoFrame) domain.displace(former);
  domain.place(what.gfn, frame, false);
  return 0;
}

int64_t add_to_physmap(const Caller& caller, const xen_add_to_physmap_t& op) {
  if (op.space == XENMAPSPACE_gmfn_foreign) return error(XEN_ENOSYS);
  int64_t why = 0;
  Domain* domain = target_of(caller, op.domid, why);
  if (domain == nullptr) return why;
  if (op.space == XENMAPSPACE_gmfn_range && !caller.knows(XenFeature::kGmfnRange)) {
    return error(XEN_EINVAL);
  }
  if (op.space != XENMAPSPACE_gmfn_range) return place(*domain, {op.space, op.idx, op.gpfn});
  for (uint64_t i = 0; i < op.size; ++i) {
    const int64_t result = place(*domain, {op.space, op.idx + i, op.gpfn + i});
    if (result < 0) return result;
  }
  return 0;
}

/// Each page has an error of its own; the call fails only when they can't be told.
int64_t add_to_physmap_batch(const Caller& caller, const xen_add_to_physmap_batch_t& op) {
  if (!caller.machine.config().physmap_batch) return error(XEN_ENOSYS);
  if (!accessible(op.idxs.p, op.size) || !accessible(op.gpfns.p, op.size) ||
      !accessible(op.errs.p, op.size)) {
    return error(XEN_EFAULT);
  }
  if (op.space == XENMAPSPACE_gmfn_range) return error(XEN_EOPNOTSUPP);
  int64_t why = 0;
  Domain* domain = target_of(caller, op.domid, why);
  if (domain == nullptr) return why;
  // Others' pages are for a control domain; the one here maps them in its tools' processes.
  if (op.space == XENMAPSPACE_gmfn_foreign) {
    return error(caller.privileged() ? XEN_EOPNOTSUPP : XEN_EPERM);
  }
  for (uint64_t i = 0; i < op.size; ++i) {
    op.errs.p[i] = static_cast<int>(place(*domain, {op.space, op.idxs.p[i], op.gpfns.p[i]}));
  }
  return 0;
}

int64_t remove_from_physmap(const Caller& caller, const xen_remove_from_physmap_t& op) {
  int64_t why = 0;
  Domain* domain = target_of(caller, op.domid, why);
  if (domain == nullptr) return why;
  return domain->displace(op.gpfn) ? 0 : error(XEN_ENOENT);
}

}  // namespace

int64_t physmap_op(const Caller& caller, unsigned command, uint64_t argument) {
  switch (command) {
    case XENMEM_add_to_physmap:
      return with_argument<xen_add_to_physmap_t>(caller, argument, add_to_physmap);
    case XENMEM_add_to_physmap_batch:
      return with_argument<xen_add_to_physmap_batch_t>(caller, argument, add_to_physmap_batch);
    case XENMEM_remove_from_physmap:
      if (!caller.knows(XenFeature::kRemoveFromPhysmap)) return error(XEN_ENOSYS);
      return with_argument<xen_remove_from_physmap_t>(caller, argument, remove_from_physmap);
    default: return error(XEN_ENOSYS);
  }
}

}  // namespace ringside::sim
