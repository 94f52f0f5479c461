#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sim/toolstack/toolstack.hpp"

namespace ringside::sim {

/// Keys and values below one node, in the order they are written.
using NodeValues = std::vector<std::pair<std::string, std::string>>;

/// What libxl writes for one device.
struct DeviceNodes {
  DevicePaths paths;
  uint16_t guest = 0;
  uint16_t backend_domid = 0;
  std::string library;  ///< /libxl/<guest>/device/<class>/<handle>, the toolstack's own note
  NodeValues frontend;
  NodeValues backend;
};

DeviceNodes vif_nodes(uint16_t guest, const VifConfig& config);
DeviceNodes vbd_nodes(uint16_t guest, const VbdConfig& config);

/// What libxl writes for a new domain; the keys are relative to /local/domain/<id>.
struct DomainNodes {
  std::vector<std::string> read_only;  ///< directories the guest may read
  std::vector<std::string> writable;   ///< nodes the guest owns
  NodeValues values;
};

struct DomainChannels {
  uint64_t store_gfn = 0;
  uint32_t store_port = 0;
  uint64_t console_gfn = 0;
  uint32_t console_port = 0;  ///< 0: it has no console
};

DomainNodes domain_nodes(uint16_t domid, const GuestConfig& config, const DomainChannels& made);
std::array<uint8_t, 16> domain_handle(uint16_t domid);
/// /vm/<uuid>, of the handle; the uuid is made of the domain's number, so that worlds replay.
std::string vm_path(uint16_t domid);
std::string home_path(uint16_t domid);

}  // namespace ringside::sim
