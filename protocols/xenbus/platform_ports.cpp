#include "protocols/xenbus/platform_ports.hpp"

namespace ringside::xenbus {

Status PlatformPorts::open(uint16_t product, uint32_t build) {
  open_ = false;
  // UNPLUG-001: on other hardware these ports may be anything.
  if (!magic()) return Status::kNotFound;
  // UNPLUG-002
  if (platform_.read_port(kIdentity, 1) != 0) {
    platform_.write_port(kIdentity, 2, product);
    platform_.write_port(kControl, 4, build);
    // UNPLUG-003
    if (!magic()) return Status::kAccessDenied;
  }
  open_ = true;
  return Status::kOk;
}

void PlatformPorts::unplug(uint16_t mask) {
  if (open_) platform_.write_port(kControl, 2, mask);
}

void PlatformPorts::log(std::string_view line) {
  // UNPLUG-005
  if (!open_) return;
  for (const char byte : line) {
    platform_.write_port(kIdentity, 1, static_cast<uint8_t>(byte));
  }
  platform_.write_port(kIdentity, 1, '\n');
}

}  // namespace ringside::xenbus
