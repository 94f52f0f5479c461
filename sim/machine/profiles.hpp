#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "sim/machine/machine.hpp"

namespace ringside::sim {

/// What XENVER_version answers.
constexpr uint32_t xen_release(uint32_t major, uint32_t minor) { return major << 16 | minor; }

/// A release of Xen by its name: "4.17". What a point release added later, it does not have.
struct XenProfile {
  std::string_view name;
  uint32_t version = 0;
};

/// All that are known, the oldest first.
std::span<const XenProfile> xen_profiles();
std::optional<XenProfile> find_xen_profile(std::string_view name);

/// What came with some release and an HVM guest can tell; xen_features() says with which.
enum class XenFeature : uint8_t {
  kGrantMaps,           ///< GNTTABOP_map_grant_ref, _unmap_grant_ref and _copy
  kGrantVersions,       ///< GNTTABOP_set_version, and version 2 tables
  kGrantVersionQuery,   ///< GNTTABOP_get_version
  kGrantSwap,           ///< GNTTABOP_swap_grant_ref
  kReservedGrants,      ///< the toolstack grants the pages of store and console
  kConsole,             ///< the toolstack gives HVM guests a PV console
  kFifoEvents,          ///< EVTCHNOP_init_control, _expand_array, _set_priority
  kRemoveFromPhysmap,   ///< XENMEM_remove_from_physmap
  kGmfnRange,           ///< XENMAPSPACE_gmfn_range
  kPhysmapBatch,        ///< XENMEM_add_to_physmap_batch
  kMemoryMap,           ///< XENMEM_memory_map
  kWatchdog,            ///< SCHEDOP_watchdog, SCHEDOP_shutdown_code
  kWatchdogErrors,      ///< -ENOSPC and -EINVAL of a watchdog, both -EEXIST before
  kPollOpenPorts,       ///< SCHEDOP_poll wants ports that are open
  kVcpuTimers,          ///< VCPUOP_set_periodic_timer and so on
  kVcpuInfo,            ///< VCPUOP_register_vcpu_info
  kVcpuTimeArea,        ///< VCPUOP_register_vcpu_time_memory_area
  kVcpuAll,             ///< no VCPUOP_* is withheld from HVM guests
  kVcpuInfoNxio,        ///< -ENXIO for a place that can't be, -EINVAL before
  kCommandLine,         ///< XENVER_commandline
  kBuildId,             ///< XENVER_build_id; the command line is for dom0 only
  kDom0Bit,             ///< XENFEAT_dom0
  kHvmTime,             ///< HVMOP_get_time, _pagetable_dying, _xentrace
  kHvmMemType,          ///< HVMOP_get_mem_type
  kUpcallVector,        ///< HVMOP_set_evtchn_upcall_vector
  kAltp2m,              ///< HVMOP_altp2m, HVMOP_guest_request_vm_event
  kParamsListed,        ///< a guest has only those HVM parameters that are meant for it
  kParamsRetired,       ///< the deprecated HVM parameters answer with -EINVAL
  kPageTableDyingSelf,  ///< HVMOP_pagetable_dying: -EOPNOTSUPP for another domain
};

struct XenFeatureRow {
  XenFeature feature;
  uint32_t since;
};
std::span<const XenFeatureRow> xen_features();
bool has(uint32_t xen_version, XenFeature feature);

/// HVM_NR_PARAMS of that release.
uint32_t hvm_params_of(uint32_t xen_version);
/// XENVER_get_features of that release to an HVM guest: bits by XENFEAT_*.
uint32_t hvm_features_of(uint32_t xen_version);

/// `config` with all that depends on the release as it was in `profile`.
MachineConfig on_xen(const XenProfile& profile, MachineConfig config = {});

}  // namespace ringside::sim
