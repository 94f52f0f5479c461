#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/xenstore/local_client.hpp"

namespace ringside::sim {

class Domain;
class Machine;
class Xenstored;
struct DomainChannels;

struct GuestConfig {
  std::string name = "guest";
  unsigned vcpus = 1;
  uint64_t memory_kib = 65536;
};

struct VifConfig {
  unsigned handle = 0;
  std::string mac = "00:16:3e:00:00:01";
  uint16_t backend_domid = 0;
  std::string bridge = "xenbr0";
  std::string script = "/etc/xen/scripts/vif-bridge";
  std::string type = "vif";
};

struct VbdConfig {
  unsigned vdev = 51712;             ///< xvda; see docs/man/xen-vbd-interface
  std::string params;                ///< what the back end opens, e.g. "/var/lib/disk.img"
  std::string mode = "w";            ///< "r" or "w"
  std::string device_type = "disk";  ///< "disk" or "cdrom"
  std::string type = "vbd";          ///< the back end's node: "vbd" or "qdisk"
  uint16_t backend_domid = 0;
  std::string dev = "xvda";
};

/// Where a device lives in the store.
struct DevicePaths {
  std::string frontend;  ///< /local/domain/<guest>/device/<vif|vbd>/<handle>
  std::string backend;   ///< /local/domain/<backend>/backend/<type>/<guest>/<handle>
};

/// Makes domains and their devices the way xl does: the same nodes, values and permissions.
class Toolstack {
 public:
  Toolstack(Machine& machine, Xenstored& xenstored);
  ~Toolstack();

  /// A domain with store and console pages and ports, its nodes, introduced.
  Domain& create_domain(const GuestConfig& config = {});
  /// Releases the domain, removes its nodes and those of its back ends, destroys it.
  void destroy_domain(uint16_t domid);

  /// Writes both ends' nodes in one transaction, in state Initialising.
  DevicePaths attach_vif(uint16_t domid, const VifConfig& config = {});
  DevicePaths attach_vbd(uint16_t domid, const VbdConfig& config = {});

  /// Asks the back end to close: online=0, state=Closing.
  void begin_detach(const DevicePaths& device);
  /// The back end has reached Closed (or its nodes are gone).
  bool detached(const DevicePaths& device);
  /// Removes both ends' nodes; false when the back end is not Closed yet.
  bool finish_detach(const DevicePaths& device);
  /// Removes both ends' nodes whatever their state.
  void force_detach(const DevicePaths& device);

  std::optional<std::string> read(std::string_view path);
  /// Throws std::runtime_error when the store refuses.
  void write(std::string_view path, std::string_view value);
  void remove(std::string_view path);
  xenstore::LocalClient& store() { return *store_; }

 private:
  void write_domain_nodes(uint16_t domid, const GuestConfig& config, const DomainChannels& made);

  Machine& machine_;
  Xenstored& xenstored_;
  std::unique_ptr<xenstore::LocalClient> store_;
};

}  // namespace ringside::sim
