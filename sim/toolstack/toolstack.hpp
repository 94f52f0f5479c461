#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/toolstack/platform_device.hpp"
#include "sim/xenstore/client.hpp"

namespace ringside::sim {

class Domain;
class DomainImage;
class Machine;
class StoreDaemon;
struct DomainChannels;

struct GuestConfig {
  std::string name = "guest";
  unsigned vcpus = 1;
  uint64_t memory_kib = 65536;
  PlatformDeviceConfig platform_device{};
  std::vector<EmulatedDevice> emulated{};  ///< that its QEMU begins with
};

struct VifConfig {
  unsigned handle = 0;
  std::string mac = "00:16:3e:00:00:01";
  uint16_t backend_domid = 0;
  std::string bridge = "xenbr0";
  std::string script = "/etc/xen/scripts/vif-bridge";
  std::string type = "vif";  ///< "qnic": QEMU is the back end
};

struct VbdConfig {
  unsigned vdev = 51712;             ///< xvda; see docs/man/xen-vbd-interface
  std::string params;                ///< what the back end opens, e.g. "/var/lib/disk.img"
  std::string mode = "w";            ///< "r" or "w"
  std::string device_type = "disk";  ///< "disk" or "cdrom"
  std::string type = "vbd";          ///< the back end's node: "vbd" or "qdisk"
  uint16_t backend_domid = 0;
  std::string dev = "xvda";
  bool discard = true;
  bool trusted = true;  ///< false: a node tells the front end not to trust its back end
};

/// Where a device lives in the store.
struct DevicePaths {
  std::string frontend;  ///< /local/domain/<guest>/device/<vif|vbd>/<handle>
  std::string backend;   ///< /local/domain/<backend>/backend/<type>/<guest>/<handle>
};

/// Makes domains and their devices the way xl does: the same nodes, values and permissions.
class Toolstack {
 public:
  Toolstack(Machine& machine, StoreDaemon& xenstored);
  ~Toolstack();

  /// A domain with store and console pages and ports, its nodes, introduced.
  Domain& create_domain(const GuestConfig& config = {});
  /// Releases the domain, removes its nodes and those of its back ends, destroys it.
  void destroy_domain(uint16_t domid);

  /// What QEMU emulates for the domain.
  PlatformDevice& platform_device(uint16_t domid) { return *platform_devices_.at(domid); }

  /// Asks the guest to leave itself `kib` of memory (xl mem-set), and has Xen give it no more.
  void set_memory_target(uint16_t domid, uint64_t kib);

  /// Asks the guest through control/shutdown: "poweroff", "reboot", "suspend", ...
  void request(uint16_t domid, std::string_view what);
  /// Keeps the domain's vCPUs from running, and lets them again.
  void pause(uint16_t domid);
  void unpause(uint16_t domid);
  /// After the guest has shut down to be rebooted: another domain of the same configuration, with
  /// the devices that were attached and not detached.
  Domain& reboot(uint16_t domid);
  /// Lets a suspended domain go on as if it had not been suspended.
  void cancel_suspend(uint16_t domid);
  /// Takes a suspended domain off the host: its nodes and Xen's objects go, its memory and vCPUs
  /// go into the image. Its back ends must have let go of its memory.
  DomainImage save(uint16_t domid);
  /// Makes a domain of an image, on whichever host it was taken: another id, ports and nodes,
  /// empty grant table, no devices. It stays suspended until finish_restore().
  Domain& restore(DomainImage image, const GuestConfig& config = {});
  void finish_restore(uint16_t domid);

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
  xenstore::Client& store() { return *store_; }

 private:
  /// What a domain was made of.
  struct Blueprint {
    GuestConfig config;
    std::map<std::string, VifConfig> vifs{};  ///< by front end
    std::map<std::string, VbdConfig> vbds{};
  };

  Domain& living(uint16_t domid) const;
  void emulate(Domain& domain, const GuestConfig& config);
  bool has_console() const;
  /// `console_gfn` is 0 where has_console() is not.
  void give_channels(Domain& domain, uint64_t store_gfn, uint64_t console_gfn,
                     const GuestConfig& config);
  void write_domain_nodes(uint16_t domid, const GuestConfig& config, const DomainChannels& made);

  Machine& machine_;
  StoreDaemon& xenstored_;
  std::unique_ptr<xenstore::Client> store_;
  std::map<uint16_t, std::unique_ptr<PlatformDevice>> platform_devices_;
  std::map<uint16_t, Blueprint> blueprints_;
  std::map<uint16_t, Domain*> restored_from_;  ///< by the new domain, until it goes on
};

}  // namespace ringside::sim
