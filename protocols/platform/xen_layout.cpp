// The shared ABI in figures: if one of these fails, a front end built for this target would
// speak another protocol than the peer. Sizes and offsets are those which Xen's public
// headers have on x86 Linux, 64 and 32 bits; protocols/platform/xen.hpp makes them so on
// Windows.

#include "protocols/platform/blkif_abi.hpp"
#include "protocols/platform/xen.hpp"

#include <cstddef>

namespace ringside::platform {
namespace {

constexpr size_t golden(size_t on_64_bits, size_t on_32_bits) {
  return sizeof(void*) == 8 ? on_64_bits : on_32_bits;
}

// xen/xen.h
static_assert(sizeof(xen_ulong_t) == golden(8, 4));
static_assert(sizeof(xen_pfn_t) == golden(8, 4));
static_assert(sizeof(vcpu_time_info) == 32);
static_assert(sizeof(vcpu_info) == 64);
static_assert(offsetof(vcpu_info, evtchn_upcall_mask) == 1);
static_assert(offsetof(vcpu_info, evtchn_pending_sel) == golden(8, 4));
static_assert(offsetof(vcpu_info, time) == 32);
static_assert(sizeof(shared_info) == golden(3136, 2344));
static_assert(offsetof(shared_info, evtchn_pending) == 2048);
static_assert(offsetof(shared_info, evtchn_mask) == golden(2560, 2176));
static_assert(offsetof(shared_info, wc_version) == golden(3072, 2304));

// xen/vcpu.h
static_assert(sizeof(vcpu_runstate_info) == golden(48, 44));
static_assert(sizeof(vcpu_register_vcpu_info) == 16);

// xen/event_channel.h
static_assert(sizeof(evtchn_alloc_unbound) == 8);
static_assert(sizeof(evtchn_bind_interdomain) == 12);
static_assert(sizeof(evtchn_bind_virq) == 12);
static_assert(sizeof(evtchn_bind_vcpu) == 8);
static_assert(sizeof(evtchn_close) == 4 && sizeof(evtchn_send) == 4 && sizeof(evtchn_unmask) == 4);
static_assert(sizeof(evtchn_status) == 24);
static_assert(sizeof(evtchn_init_control) == 24);
static_assert(sizeof(evtchn_fifo_control_block) == 72);

// xen/grant_table.h
static_assert(sizeof(grant_entry_v1) == 8);
static_assert(offsetof(grant_entry_v1, frame) == 4);
static_assert(sizeof(grant_entry_v2) == 16);
static_assert(offsetof(grant_entry_v2, full_page.frame) == 8);
static_assert(sizeof(grant_status_t) == 2);
static_assert(sizeof(gnttab_setup_table) == golden(24, 16));
static_assert(sizeof(gnttab_query_size) == 16);
static_assert(sizeof(gnttab_set_version) == 4);
static_assert(sizeof(gnttab_get_status_frames) == golden(16, 12));
static_assert(sizeof(gnttab_map_grant_ref) == 32);
static_assert(sizeof(gnttab_unmap_grant_ref) == 24);
static_assert(sizeof(gnttab_copy) == golden(40, 24));

// xen/memory.h, xen/hvm, xen/sched.h, xen/version.h
static_assert(sizeof(xen_add_to_physmap) == golden(24, 16));
static_assert(offsetof(xen_add_to_physmap, idx) == 8);
static_assert(offsetof(xen_add_to_physmap, gpfn) == golden(16, 12));
static_assert(sizeof(xen_memory_reservation) == golden(32, 20));
static_assert(sizeof(xen_hvm_param) == 16);
static_assert(offsetof(xen_hvm_param, value) == 8);
static_assert(sizeof(xen_hvm_evtchn_upcall_vector) == 8);
static_assert(sizeof(sched_shutdown) == 4);
static_assert(sizeof(sched_poll) == golden(24, 16));
static_assert(sizeof(xen_feature_info) == 8);

// xen/io/xs_wire.h
static_assert(sizeof(xsd_sockmsg) == 16);
static_assert(offsetof(xenstore_domain_interface, rsp) == 1024);
static_assert(offsetof(xenstore_domain_interface, req_cons) == 2048);
static_assert(offsetof(xenstore_domain_interface, req_prod) == 2052);
static_assert(offsetof(xenstore_domain_interface, rsp_cons) == 2056);
static_assert(offsetof(xenstore_domain_interface, rsp_prod) == 2060);
static_assert(offsetof(xenstore_domain_interface, server_features) == 2064);
static_assert(offsetof(xenstore_domain_interface, connection) == 2068);
static_assert(offsetof(xenstore_domain_interface, error) == 2072);

// xen/io/console.h
static_assert(sizeof(xencons_interface) == 3088);
static_assert(offsetof(xencons_interface, out) == 1024);
static_assert(offsetof(xencons_interface, in_cons) == 3072);
static_assert(offsetof(xencons_interface, in_prod) == 3076);
static_assert(offsetof(xencons_interface, out_cons) == 3080);
static_assert(offsetof(xencons_interface, out_prod) == 3084);

// xen/io/netif.h
static_assert(sizeof(netif_tx_request) == 12);
static_assert(offsetof(netif_tx_request, size) == 10);
static_assert(sizeof(netif_tx_response) == 4);
static_assert(sizeof(netif_rx_request) == 8);
static_assert(offsetof(netif_rx_request, gref) == 4);
static_assert(sizeof(netif_rx_response) == 8);
static_assert(offsetof(netif_rx_response, status) == 6);
static_assert(sizeof(netif_extra_info) == 8);
static_assert(offsetof(netif_extra_info, u) == 2);
static_assert(sizeof(xen_netif_ctrl_request) == 16);
static_assert(sizeof(xen_netif_ctrl_response) == 12);
static_assert(sizeof(netif_tx_sring) == 76 && sizeof(netif_rx_sring) == 72);
static_assert(offsetof(netif_tx_sring, ring) == 64);

// xen/io/blkif.h
static_assert(sizeof(blkif_request_segment) == 8);
static_assert(sizeof(blkif_request) == golden(112, 108));
static_assert(offsetof(blkif_request, id) == golden(8, 4));
static_assert(offsetof(blkif_request, sector_number) == golden(16, 12));
static_assert(offsetof(blkif_request, seg) == golden(24, 20));
static_assert(sizeof(blkif_request_discard) == golden(32, 28));
static_assert(offsetof(blkif_request_discard, nr_sectors) == golden(24, 20));
static_assert(sizeof(blkif_request_indirect) == 64);
static_assert(offsetof(blkif_request_indirect, nr_segments) == 2);
static_assert(offsetof(blkif_request_indirect, id) == golden(8, 4));
static_assert(offsetof(blkif_request_indirect, sector_number) == golden(16, 12));
static_assert(offsetof(blkif_request_indirect, handle) == golden(24, 20));
static_assert(offsetof(blkif_request_indirect, indirect_grefs) == golden(28, 24));
static_assert(sizeof(blkif_response) == golden(16, 12));
static_assert(offsetof(blkif_response, status) == 10);
static_assert(sizeof(blkif_sring) == golden(176, 172));

// The other word size's blkif, the same on every target.
static_assert(sizeof(x86_32::BlkifRequest) == 108 && sizeof(x86_64::BlkifRequest) == 112);
static_assert(offsetof(x86_32::BlkifRequest, seg) == 20);
static_assert(offsetof(x86_64::BlkifRequest, seg) == 24);
static_assert(sizeof(x86_32::BlkifRequestDiscard) == 28);
static_assert(sizeof(x86_64::BlkifRequestDiscard) == 32);
static_assert(sizeof(x86_32::BlkifRequestIndirect) == 64);
static_assert(sizeof(x86_64::BlkifRequestIndirect) == 64);
static_assert(offsetof(x86_32::BlkifRequestIndirect, indirect_grefs) == 24);
static_assert(offsetof(x86_64::BlkifRequestIndirect, indirect_grefs) == 28);
static_assert(sizeof(x86_32::BlkifResponse) == 12 && sizeof(x86_64::BlkifResponse) == 16);
static_assert(offsetof(x86_32::BlkifResponse, status) == 10);
static_assert(offsetof(x86_64::BlkifResponse, status) == 10);

}  // namespace
}  // namespace ringside::platform
