#include <algorithm>

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
  const bool host = (op.flags & GNTMAP_host_map) != 0;
  if (!host && (op.flags & GNTMAP_device_map) == 0) {
    op.status = GNTST_general_error;
    return;
  }
  const uint64_t gfn = op.host_addr / kPageSize;
  if (host && (op.host_addr % kPageSize != 0 || gfn >= caller.domain.max_gfn())) {
    op.status = GNTST_general_error;
    return;
  }
  const GrantMap map =
      caller.domain.grants().map(op.dom, op.ref, (op.flags & GNTMAP_readonly) != 0);
  op.status = map.status;
  if (map.status != GNTST_okay) return;
  if (host) caller.domain.place(gfn, map.frame, false);
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
  if (op.host_addr != 0) {
    const uint64_t gfn = op.host_addr / kPageSize;
    if (caller.domain.machine_frame(gfn) != frame) {
      op.status = GNTST_bad_virt_addr;
      return;
    }
    caller.domain.displace(gfn);
  }
  op.status = grants.unmap(op.handle);
}

int16_t side_of(const Caller& caller, const gnttab_copy_t::gnttab_copy_ptr& ptr, bool granted,
                uint32_t length, CopySide& side) {
  side.domain = ptr.domid;
  side.offset = ptr.offset;
  if (granted) {
    side.ref = ptr.u.ref;
    return GNTST_okay;
  }
  if (ptr.domid != DOMID_SELF) return GNTST_permission_denied;
  if (ptr.offset > kPageSize || length > kPageSize - ptr.offset) return GNTST_bad_copy_arg;
  std::byte* page = caller.domain.page_address(ptr.u.gmfn);
  if (page == nullptr) return GNTST_bad_page;
  side.local = page + ptr.offset;
  return GNTST_okay;
}

void copy(const Caller& caller, gnttab_copy_t& op) {
  CopySide source;
  CopySide destination;
  op.status = side_of(caller, op.source, (op.flags & GNTCOPY_source_gref) != 0, op.len, source);
  if (op.status != GNTST_okay) return;
  op.status = side_of(caller, op.dest, (op.flags & GNTCOPY_dest_gref) != 0, op.len, destination);
  if (op.status != GNTST_okay) return;
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
    case GNTTABOP_get_version:
      return for_each<gnttab_get_version_t>(
          caller, argument, count, [](const Caller&, gnttab_get_version_t& op) { op.version = 1; });
    case GNTTABOP_set_version: {
      auto* op = argument_at<gnttab_set_version_t>(argument);
      if (op == nullptr) return error(XEN_EFAULT);
      if (op->version == 1) return 0;
      return op->version == 2 ? error(XEN_ENOSYS) : error(XEN_EINVAL);
    }
    default: return error(XEN_ENOSYS);
  }
}

}  // namespace ringside::sim
