#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/daemons/dropin_host.hpp"

namespace ringside::conformance {

/// Where Debian's qemu-system-xen has it.
inline constexpr const char* kQemu = "/usr/libexec/xen-qemu-system-i386";
/// What --backend calls QEMU's own disk.
inline constexpr std::string_view kQemuQdisk = "qemu-qdisk";

/// Starts an unmodified QEMU that serves all back ends of `domid` of the types it knows (qdisk,
/// qnic, ...), those attached later too. `arguments` are for QEMU besides. Throws NotInstalled.
std::unique_ptr<ChildProcess> start_qemu(DropinHost& host, uint16_t domid,
                                         const std::vector<std::string>& arguments = {});

}  // namespace ringside::conformance
