#include "conformance/daemons/qemu.hpp"

#include <unistd.h>

#include "conformance/daemons/store_host.hpp"

namespace ringside::conformance {

std::unique_ptr<ChildProcess> start_qemu(DropinHost& host, uint16_t domid,
                                         const std::vector<std::string>& arguments) {
  if (access(kQemu, X_OK) != 0) {
    throw NotInstalled(std::string(kQemu) + " is not there (package qemu-system-xen)");
  }
  const std::string id = std::to_string(domid);
  std::vector<std::string> command{kQemu,         "-M",         "xenpv",    "-xen-domid", id,
                                   "-xen-attach", "-nographic", "-monitor", "none",       "-serial",
                                   "none",        "-m",         "16"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return host.start("qemu" + id, command);
}

}  // namespace ringside::conformance
