#include "sim/machine/grant_copy.hpp"
#include "sim/machine/hypercalls.hpp"

namespace ringside::sim {
namespace {

int16_t status_of(int64_t why) {
  return why == error(XEN_EPERM) ? GNTST_permission_denied : GNTST_bad_domain;
}

void setup_table(const Caller& caller, gnttab_setup_table_t& op) {
  int64_t why = 0;
  Domain* domain = target_of(caller, op.dom, why);
  if (domain == nullptr) {
    op.status = status_of(why);
    return;
  }
  GrantTable& grants = domain->grants();
  if (!grants.grow(op.nr_frames)) {
    op.status = GNTST_general_error;
    return;
  }
  for (uint32_t i = 0; i < op.nr_frames; ++i) {
    op.frame_list.p[i] = domain->gfn_of(grants.shared_frame(i));
  }
  op.status = GNTST_okay;
}

void query_size(const Caller& caller, gnttab_query_size_t& op) {
  int64_t why = 0;
  Domain* domain = target_of(caller, op.dom, why);
  if (domain == nullptr) {
    op.status = status_of(why);
    return;
  }
  op.nr_frames = domain->grants().frames();
  op.max_nr_frames = domain->grants().max_frames();
  op.status = GNTST_okay;
}

/// An HVM caller names by `host_addr` the guest physical page where the grant shall appear.
void map(const Caller& caller, gnttab_map_grant_ref_t& op) {
  constexpr uint32_t kNeedsPageTables =
      GNTMAP_device_map | GNTMAP_application_map | GNTMAP_contains_pte;
  if ((op.flags & (GNTMAP_device_map | GNTMAP_host_map)) == 0) {
    op.status = GNTST_bad_gntref;
    return;
  }
  if ((op.flags & kNeedsPageTables) != 0) {
    op.status = GNTST_general_error;
    return;
  }
  const GrantMap map =
      caller.domain.grants().map(op.dom, op.ref, (op.flags & GNTMAP_readonly) != 0);
  op.status = map.status;
  if (map.status != GNTST_okay) return;
  const bool plain = (op.flags & ~unsigned{GNTMAP_host_map | GNTMAP_readonly}) == 0;
  if (!plain || !caller.domain.place(op.host_addr / kPageSize, map.frame, false)) {
    caller.domain.grants().unmap(map.handle);
    op.status = GNTST_general_error;
    return;
  }
  op.handle = map.handle;
  op.dev_bus_addr = uint64_t{map.frame} * kPageSize;
}

void unmap(const Caller& caller, gnttab_unmap_grant_ref_t& op) {
  GrantTable& grants = caller.domain.grants();
  const auto frame = grants.mapped_frame(op.handle);
  if (!frame) {
    op.status = GNTST_bad_handle;
    return;
  }
  if (op.dev_bus_addr != 0 && op.dev_bus_addr != uint64_t{*frame} * kPageSize) {
    op.status = GNTST_general_error;
    return;
  }
  // Without an address there is nothing to take away, and the handle stays.
  op.status = GNTST_okay;
  if (op.host_addr == 0) return;
  const uint64_t gfn = op.host_addr / kPageSize;
  if (caller.domain.machine_frame(gfn) != frame) {
    op.status = GNTST_general_error;
    return;
  }
  caller.domain.displace(gfn);
  op.status = grants.unmap(op.handle);
}

int64_t set_version(const Caller& caller, uint64_t argument) {
  auto* op = argument_at<gnttab_set_version_t>(argument);
  if (op == nullptr) return error(XEN_EFAULT);
  const int64_t result = caller.domain.grants().set_version(op->version);
  op->version = caller.domain.grants().version();
  return result;
}

int64_t get_version(const Caller& caller, uint64_t argument) {
  auto* op = argument_at<gnttab_get_version_t>(argument);
  if (op == nullptr) return error(XEN_EFAULT);
  int64_t why = 0;
  Domain* domain = target_of(caller, op->dom, why);
  if (domain == nullptr) return why;
  op->version = domain->grants().version();
  return 0;
}

void swap(const Caller& caller, gnttab_swap_grant_ref_t& op) {
  op.status = caller.domain.grants().swap(op.ref_a, op.ref_b);
}

/// Xen lets an HVM guest have the first list, and answers the rest as if it were not there:
/// transfer, dump_table, unmap_and_replace, get_status_frames (status frames come with
/// XENMAPSPACE_grant_table) and cache_flush.
bool exists(const Caller& caller, unsigned command) {
  const MachineConfig& xen = caller.machine.config();
  const auto allowed = [&](XenFeature feature) {
    return !caller.domain.hvm() || caller.knows(feature);
  };
  switch (command) {
    case GNTTABOP_query_size:
    case GNTTABOP_setup_table: return true;
    case GNTTABOP_copy:
    case GNTTABOP_map_grant_ref:
    case GNTTABOP_unmap_grant_ref: return allowed(XenFeature::kGrantMaps);
    case GNTTABOP_set_version: return xen.grant_versions;
    case GNTTABOP_get_version: return xen.grant_versions && allowed(XenFeature::kGrantVersionQuery);
    case GNTTABOP_swap_grant_ref: return xen.grant_swap;
    default: return false;
  }
}

int16_t side_of(const Caller& caller, const gnttab_copy_t::gnttab_copy_ptr& ptr, bool granted,
                CopySide& side) {
  side.domain = ptr.domid;
  side.offset = ptr.offset;
  if (granted) {
    side.ref = ptr.u.ref;
    return GNTST_okay;
  }
  std::byte* page = caller.domain.page_address(ptr.u.gmfn);
  if (page == nullptr) return GNTST_bad_page;
  side.local = page + ptr.offset;
  return GNTST_okay;
}

bool crosses(const gnttab_copy_t::gnttab_copy_ptr& ptr, uint32_t length) {
  return ptr.offset + length > kPageSize;
}

void copy(const Caller& caller, gnttab_copy_t& op) {
  const bool from_grant = (op.flags & GNTCOPY_source_gref) != 0;
  const bool to_grant = (op.flags & GNTCOPY_dest_gref) != 0;
  const bool foreign_frame =
      (!from_grant && op.source.domid != DOMID_SELF) || (!to_grant && op.dest.domid != DOMID_SELF);
  CopySide source;
  CopySide destination;
  op.status =
      foreign_frame ? GNTST_permission_denied : side_of(caller, op.source, from_grant, source);
  if (op.status != GNTST_okay) return;
  op.status = side_of(caller, op.dest, to_grant, destination);
  if (op.status != GNTST_okay) return;
  if ((!from_grant && crosses(op.source, op.len)) || (!to_grant && crosses(op.dest, op.len))) {
    op.status = GNTST_bad_copy_arg;
    return;
  }
  op.status = grant_copy(caller.machine, caller.domain, source, destination, op.len);
}

template <typename Op, typename Function>
int64_t for_each(const Caller& caller, uint64_t argument, uint64_t count, Function function) {
  auto* ops = argument_at<Op>(argument);
  if (ops == nullptr && count > 0) return error(XEN_EFAULT);
  for (uint64_t i = 0; i < count; ++i) function(caller, ops[i]);
  return 0;
}

}  // namespace

int64_t grant_table_op(const Caller& caller, unsigned command, uint64_t argument, uint64_t count) {
  if (!exists(caller, command)) return error(XEN_ENOSYS);
  if (static_cast<int32_t>(count) < 0) return error(XEN_EINVAL);
  const bool single = command == GNTTABOP_setup_table || command == GNTTABOP_query_size;
  if (single && count != 1) return error(XEN_EINVAL);
  switch (command) {
    case GNTTABOP_setup_table:
      return for_each<gnttab_setup_table_t>(caller, argument, count, setup_table);
    case GNTTABOP_query_size:
      return for_each<gnttab_query_size_t>(caller, argument, count, query_size);
    case GNTTABOP_map_grant_ref:
      return for_each<gnttab_map_grant_ref_t>(caller, argument, count, map);
    case GNTTABOP_unmap_grant_ref:
      return for_each<gnttab_unmap_grant_ref_t>(caller, argument, count, unmap);
    case GNTTABOP_copy: return for_each<gnttab_copy_t>(caller, argument, count, copy);
    case GNTTABOP_swap_grant_ref:
      return for_each<gnttab_swap_grant_ref_t>(caller, argument, count, swap);
    case GNTTABOP_get_version: return get_version(caller, argument);
    case GNTTABOP_set_version: return set_version(caller, argument);
    default: return error(XEN_ENOSYS);
  }
}

}  // namespace ringside::sim
