// libxenctrl.so.4.17: what QEMU may call for a domain whose devices it emulates, but doesn't for
// one that it only has back ends for.
#include "sim/dropin/libs/channel.hpp"

RINGSIDE_UNSUPPORTED(xc_domain_bind_pt_pci_irq)
RINGSIDE_UNSUPPORTED(xc_domain_iomem_permission)
RINGSIDE_UNSUPPORTED(xc_domain_ioport_mapping)
RINGSIDE_UNSUPPORTED(xc_domain_memory_mapping)
RINGSIDE_UNSUPPORTED(xc_domain_populate_physmap_exact)
RINGSIDE_UNSUPPORTED(xc_domain_shutdown)
RINGSIDE_UNSUPPORTED(xc_domain_unbind_msi_irq)
RINGSIDE_UNSUPPORTED(xc_domain_unbind_pt_irq)
RINGSIDE_UNSUPPORTED(xc_domain_update_msi_irq)
RINGSIDE_UNSUPPORTED(xc_get_hvm_param)
RINGSIDE_UNSUPPORTED(xc_hvm_param_get)
RINGSIDE_UNSUPPORTED(xc_hvm_param_set)
RINGSIDE_UNSUPPORTED_POINTER(xc_map_foreign_range)
RINGSIDE_UNSUPPORTED(xc_physdev_map_pirq)
RINGSIDE_UNSUPPORTED(xc_physdev_map_pirq_msi)
RINGSIDE_UNSUPPORTED(xc_physdev_unmap_pirq)
RINGSIDE_UNSUPPORTED(xc_set_hvm_param)
