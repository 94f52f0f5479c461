#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/xenbus/interfaces/services.hpp"

namespace ringside::xeniface {

struct DriversVersion {
  uint32_t major = 0, minor = 0, micro = 0, build = 0;
};

/// What toolstacks show of a guest.
struct SystemReport {
  std::string_view os_name;  ///< as people know it; bytes that are not printable ASCII show as '?'
  uint32_t os_major = 0, os_minor = 0, os_build = 0;
  DriversVersion drivers;
};

/// Writes data/os_*, attr/PVAddons/* and then data/updated, all at once. To be called when the
/// agent starts and after each migration. `sequence` differs from that of the last report.
/// Passive level; kAgain when others kept interfering, else what the store answers. Nodes that
/// the toolstack does not let a guest write are left out. [IFACE-070..072]
Status write_report(const xenbus::Services& services, const SystemReport& report,
                    uint64_t sequence);

}  // namespace ringside::xeniface
