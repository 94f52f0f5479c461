#include "sim/toolstack/device_nodes.hpp"

#include <cstdio>

#include "protocols/platform/xen.hpp"

namespace ringside::sim {

namespace {

const std::string kInitialising = std::to_string(XenbusStateInitialising);

DeviceNodes device(uint16_t guest, uint16_t backend_domid, const std::string& front_class,
                   const std::string& back_class, unsigned handle) {
  DeviceNodes nodes;
  const std::string number = std::to_string(handle);
  const std::string id = std::to_string(guest);
  const std::string place = "/device/" + front_class + "/" + number;
  nodes.guest = guest;
  nodes.backend_domid = backend_domid;
  nodes.paths.frontend = home_path(guest) + place;
  nodes.paths.backend =
      home_path(backend_domid) + "/backend/" + back_class + "/" + id + "/" + number;
  nodes.library = "/libxl/" + id + place;
  nodes.frontend = {{"backend", nodes.paths.backend},
                    {"backend-id", std::to_string(backend_domid)}};
  nodes.backend = {{"frontend", nodes.paths.frontend}, {"frontend-id", id}, {"online", "1"}};
  return nodes;
}

void append(NodeValues& values, const NodeValues& more) {
  values.insert(values.end(), more.begin(), more.end());
}

std::string uuid(uint16_t domid) {
  char text[37];
  std::snprintf(text, sizeof(text), "00000000-0000-4000-8000-%012x", unsigned{domid});
  return text;
}

}  // namespace

std::array<uint8_t, 16> domain_handle(uint16_t domid) {
  // As uuid() has it.
  std::array<uint8_t, 16> handle{};
  handle[6] = 0x40;
  handle[8] = 0x80;
  handle[14] = static_cast<uint8_t>(domid >> 8);
  handle[15] = static_cast<uint8_t>(domid);
  return handle;
}

std::string home_path(uint16_t domid) { return "/local/domain/" + std::to_string(domid); }

std::string vm_path(uint16_t domid) { return "/vm/" + uuid(domid); }

DeviceNodes vif_nodes(uint16_t guest, const VifConfig& config) {
  const char* backend = config.type == "qnic" ? "qnic" : "vif";  // QEMU's or the kernel's
  DeviceNodes nodes = device(guest, config.backend_domid, "vif", backend, config.handle);
  const std::string handle = std::to_string(config.handle);
  append(nodes.frontend, {{"state", kInitialising}, {"handle", handle}, {"mac", config.mac}});
  append(nodes.backend, {{"state", kInitialising},
                         {"script", config.script},
                         {"mac", config.mac},
                         {"bridge", config.bridge},
                         {"handle", handle},
                         {"type", config.type},
                         {"hotplug-status", ""}});
  return nodes;
}

DeviceNodes vbd_nodes(uint16_t guest, const VbdConfig& config) {
  DeviceNodes nodes = device(guest, config.backend_domid, "vbd", config.type, config.vdev);
  append(nodes.frontend, {{"state", kInitialising},
                          {"virtual-device", std::to_string(config.vdev)},
                          {"device-type", config.device_type},
                          {"trusted", config.trusted ? "1" : "0"}});
  const bool cdrom = config.device_type == "cdrom";
  append(nodes.backend, {{"params", config.params},
                         {"removable", cdrom ? "1" : "0"},
                         {"bootable", "1"},
                         {"state", kInitialising},
                         {"dev", config.dev},
                         {"type", config.type == "vbd" ? "phy" : config.type},
                         {"mode", config.mode},
                         {"device-type", config.device_type},
                         {"discard-enable", config.discard ? "1" : "0"}});
  return nodes;
}

DomainNodes domain_nodes(uint16_t domid, const GuestConfig& config, const DomainChannels& made) {
  DomainNodes nodes;
  nodes.read_only = {"cpu", "memory", "device", "control", "store", "console"};
  nodes.writable = {"control/shutdown",
                    "control/feature-poweroff",
                    "control/feature-reboot",
                    "control/feature-suspend",
                    "control/sysrq",
                    "device/suspend/event-channel",
                    "data",
                    "drivers",
                    "feature",
                    "attr",
                    "error"};
  nodes.values = {{"vm", vm_path(domid)},
                  {"name", config.name},
                  {"domid", std::to_string(domid)},
                  {"control/platform-feature-multiprocessor-suspend", "1"},
                  {"control/platform-feature-xs_reset_watches", "1"},
                  {"memory/static-max", std::to_string(config.memory_kib)},
                  {"memory/target", std::to_string(config.memory_kib)},
                  {"memory/videoram", "0"},
                  {"store/port", std::to_string(made.store_port)},
                  {"store/ring-ref", std::to_string(made.store_gfn)},
                  {"console/limit", "1048576"},
                  {"console/type", "xenconsoled"},
                  {"console/output", "pty"},
                  {"console/tty", ""}};
  if (made.console_port != 0) {
    append(nodes.values, {{"console/port", std::to_string(made.console_port)},
                          {"console/ring-ref", std::to_string(made.console_gfn)}});
  }
  for (unsigned vcpu = 0; vcpu < config.vcpus; ++vcpu) {
    nodes.values.emplace_back("cpu/" + std::to_string(vcpu) + "/availability", "online");
  }
  return nodes;
}

}  // namespace ringside::sim
