#include "sim/toolstack/toolstack.hpp"

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "sim/machine/machine.hpp"
#include "sim/machine/profiles.hpp"
#include "sim/toolstack/device_nodes.hpp"
#include "sim/toolstack/domain_image.hpp"
#include "sim/xenstore/store_daemon.hpp"

namespace ringside::sim {

namespace {

constexpr uint32_t kPageKib = kPageSize / 1024;
constexpr uint32_t kMaxMemorySlack = 1024;  // KiB that xl lets a domain have beyond its memory

void require(int error, std::string_view path) {
  if (error != 0) {
    throw std::system_error(error, std::generic_category(), "store: " + std::string(path));
  }
}

/// Owned by one domain, readable by another.
std::vector<std::string> readable(uint16_t owner, uint16_t reader) {
  return {"n" + std::to_string(owner), "r" + std::to_string(reader)};
}

std::vector<std::string> owned(uint16_t owner) { return {"n" + std::to_string(owner)}; }

/// Writes nodes within one transaction, and again when somebody interfered.
class NodeWriter {
 public:
  explicit NodeWriter(xenstore::Client& store) : store_(store) {}

  void directory(const std::string& path, const std::vector<std::string>& permissions) {
    require(store_.mkdir(path, transaction_), path);
    require(store_.set_permissions(path, permissions, transaction_), path);
  }
  void values(const std::string& path, const NodeValues& values) {
    for (const auto& [key, value] : values) {
      require(store_.write(path + "/" + key, value, transaction_), path + "/" + key);
    }
  }
  void remove(const std::string& path) {
    const int error = store_.remove(path, transaction_);
    if (error != ENOENT) require(error, path);
  }

  template <typename Body>
  void transact(Body&& body) {
    for (;;) {
      transaction_ = store_.begin();
      body();
      const int error = store_.commit(transaction_);
      transaction_ = 0;
      if (error == 0) return;
      if (error != EAGAIN) require(error, "transaction");
    }
  }

 private:
  xenstore::Client& store_;
  uint32_t transaction_ = 0;
};

DevicePaths attach(xenstore::Client& store, const DeviceNodes& nodes) {
  NodeWriter writer(store);
  writer.transact([&] {
    writer.directory(nodes.library, owned(0));
    writer.values(nodes.library,
                  {{"frontend", nodes.paths.frontend}, {"backend", nodes.paths.backend}});
    writer.directory(nodes.paths.frontend, readable(nodes.guest, nodes.backend_domid));
    writer.values(nodes.paths.frontend, nodes.frontend);
    writer.directory(nodes.paths.backend, readable(nodes.backend_domid, nodes.guest));
    writer.values(nodes.paths.backend, nodes.backend);
  });
  return nodes.paths;
}

}  // namespace

Toolstack::Toolstack(Machine& machine, StoreDaemon& xenstored)
    : machine_(machine), xenstored_(xenstored), store_(xenstored.connect(0)) {}

Toolstack::~Toolstack() {
  for (const auto& [domid, device] : platform_devices_) {
    machine_.find_even_dead(domid)->set_port_device(nullptr);
  }
}

Domain& Toolstack::create_domain(const GuestConfig& config) {
  const auto built = static_cast<uint32_t>(config.memory_kib / kPageKib);
  Domain& domain = machine_.create_domain({.name = config.name,
                                           .vcpus = config.vcpus,
                                           .max_pages = built + kMaxMemorySlack / kPageKib,
                                           .pages = built});
  const auto pages = domain.allocate_pages(2);
  if (pages.size() != 2) {
    machine_.destroy_domain(domain.id());
    throw std::runtime_error("no memory for the store and the console");
  }
  emulate(domain, config);
  // Without a console its page is the device model's.
  give_channels(domain, pages[0], has_console() ? pages[1] : 0, config);
  return domain;
}

void Toolstack::emulate(Domain& domain, const GuestConfig& config) {
  blueprints_[domain.id()] = {.config = config};
  auto& device = platform_devices_[domain.id()];
  device = std::make_unique<PlatformDevice>(config.platform_device, config.emulated);
  domain.set_port_device(device.get());
}

bool Toolstack::has_console() const {
  return has(machine_.config().xen_version, XenFeature::kConsole);
}

void Toolstack::give_channels(Domain& domain, uint64_t store_gfn, uint64_t console_gfn,
                              const GuestConfig& config) {
  const int64_t store_port = domain.events().alloc_unbound(0);
  const int64_t console_port = has_console() ? domain.events().alloc_unbound(0) : 0;
  if (store_port <= 0 || console_port < 0) {
    machine_.destroy_domain(domain.id());
    throw std::runtime_error("no event channel for the store and the console");
  }
  const DomainChannels made{store_gfn, static_cast<uint32_t>(store_port), console_gfn,
                            static_cast<uint32_t>(console_port)};
  domain.set_hvm_param(HVM_PARAM_STORE_PFN, made.store_gfn);
  domain.set_hvm_param(HVM_PARAM_STORE_EVTCHN, made.store_port);
  if (has_console()) {
    domain.set_hvm_param(HVM_PARAM_CONSOLE_PFN, made.console_gfn);
    domain.set_hvm_param(HVM_PARAM_CONSOLE_EVTCHN, made.console_port);
  }
  if (has(machine_.config().xen_version, XenFeature::kReservedGrants)) {
    domain.grants().permit(GNTTAB_RESERVED_XENSTORE, 0, made.store_gfn);
    if (made.console_gfn != 0) {
      domain.grants().permit(GNTTAB_RESERVED_CONSOLE, 0, made.console_gfn);
    }
  }
  domain.set_handle(domain_handle(domain.id()));

  write_domain_nodes(domain.id(), config, made);
  if (!xenstored_.introduce(domain)) throw std::runtime_error("the store refused the domain");
}

Domain& Toolstack::living(uint16_t domid) const {
  Domain* domain = machine_.find(domid);
  if (domain == nullptr) throw std::runtime_error("there is no domain " + std::to_string(domid));
  return *domain;
}

void Toolstack::pause(uint16_t domid) { living(domid).pause(); }

void Toolstack::unpause(uint16_t domid) { living(domid).unpause(); }

Domain& Toolstack::reboot(uint16_t domid) {
  if (living(domid).shutdown_reason() != SHUTDOWN_reboot) {
    throw std::runtime_error("domain " + std::to_string(domid) + " has not shut down to reboot");
  }
  const Blueprint blueprint = blueprints_.at(domid);
  destroy_domain(domid);
  Domain& domain = create_domain(blueprint.config);
  for (const auto& [frontend, config] : blueprint.vifs) attach_vif(domain.id(), config);
  for (const auto& [frontend, config] : blueprint.vbds) attach_vbd(domain.id(), config);
  return domain;
}

void Toolstack::set_memory_target(uint16_t domid, uint64_t kib) {
  living(domid).set_max_pages(static_cast<uint32_t>((kib + kMaxMemorySlack) / kPageKib));
  write(home_path(domid) + "/memory/target", std::to_string(kib));
}

void Toolstack::request(uint16_t domid, std::string_view what) {
  write(home_path(domid) + "/control/shutdown", what);
}

void Toolstack::cancel_suspend(uint16_t domid) {
  constexpr int64_t kCancelled = 1;
  if (Domain* domain = machine_.find(domid)) domain->resume(kCancelled);
}

DomainImage Toolstack::save(uint16_t domid) {
  Domain& domain = living(domid);
  if (domain.shutdown_reason() != SHUTDOWN_suspend) {
    throw std::runtime_error("only a suspended domain can be saved");
  }
  xenstored_.release(domid);
  DomainImage image(domain);
  destroy_domain(domid);
  return image;
}

Domain& Toolstack::restore(DomainImage image, const GuestConfig& config) {
  Domain& former = *image.domain_;
  Domain& domain = machine_.create_domain({.name = config.name,
                                           .vcpus = former.vcpus(),
                                           .max_pages = image.memory_.max_pages,
                                           .pages = 0,
                                           .memory_gfns = image.memory_.memory_gfns});
  domain.take_memory(std::move(image.memory_));
  const uint64_t store_gfn = former.hvm_param(HVM_PARAM_STORE_PFN);
  const uint64_t console_gfn = has_console() ? former.hvm_param(HVM_PARAM_CONSOLE_PFN) : 0;
  for (const uint64_t gfn : {store_gfn, console_gfn}) {
    if (gfn != 0) std::memset(domain.page_address(gfn), 0, kPageSize);
  }
  emulate(domain, config);
  give_channels(domain, store_gfn, console_gfn, config);
  former.move_guest(domain);
  restored_from_[domain.id()] = &former;
  return domain;
}

void Toolstack::finish_restore(uint16_t domid) {
  const auto found = restored_from_.find(domid);
  if (found == restored_from_.end()) return;
  // The vCPU that suspended still is inside of its hypercall to the former domain.
  found->second->resume(0);
  restored_from_.erase(found);
}

void Toolstack::write_domain_nodes(uint16_t domid, const GuestConfig& config,
                                   const DomainChannels& made) {
  const DomainNodes nodes = domain_nodes(domid, config, made);
  const std::string home = home_path(domid);
  const std::string id = std::to_string(domid);
  NodeWriter writer(*store_);
  writer.transact([&] {
    writer.directory(home, readable(0, domid));
    writer.directory(vm_path(domid), readable(0, domid));
    writer.values(vm_path(domid), {{"uuid", vm_path(domid).substr(4)}, {"name", config.name}});
    writer.directory("/libxl/" + id, owned(0));
    for (const std::string& path : nodes.read_only) {
      writer.directory(home + "/" + path, readable(0, domid));
    }
    for (const std::string& path : nodes.writable) {
      writer.directory(home + "/" + path, owned(domid));
    }
    writer.values(home, nodes.values);
  });
}

void Toolstack::destroy_domain(uint16_t domid) {
  const std::string library = "/libxl/" + std::to_string(domid);
  for (const std::string& kind : store_->directory(library + "/device")) {
    for (const std::string& handle : store_->directory(library + "/device/" + kind)) {
      const std::string device = library + "/device/" + kind + "/" + handle;
      force_detach(
          {read(device + "/frontend").value_or(""), read(device + "/backend").value_or("")});
    }
  }
  xenstored_.release(domid);
  machine_.destroy_domain(domid);
  machine_.find_even_dead(domid)->set_port_device(nullptr);
  platform_devices_.erase(domid);
  blueprints_.erase(domid);
  NodeWriter writer(*store_);
  for (const std::string& path : {home_path(domid), vm_path(domid), library}) writer.remove(path);
}

DevicePaths Toolstack::attach_vif(uint16_t domid, const VifConfig& config) {
  DevicePaths paths = attach(*store_, vif_nodes(domid, config));
  blueprints_[domid].vifs[paths.frontend] = config;
  return paths;
}

DevicePaths Toolstack::attach_vbd(uint16_t domid, const VbdConfig& config) {
  DevicePaths paths = attach(*store_, vbd_nodes(domid, config));
  blueprints_[domid].vbds[paths.frontend] = config;
  return paths;
}

void Toolstack::begin_detach(const DevicePaths& device) {
  NodeWriter writer(*store_);
  writer.transact([&] {
    writer.values(device.backend, {{"online", "0"}, {"state", std::to_string(XenbusStateClosing)}});
  });
}

bool Toolstack::detached(const DevicePaths& device) {
  const auto state = read(device.backend + "/state");
  return !state || *state == std::to_string(XenbusStateClosed);
}

bool Toolstack::finish_detach(const DevicePaths& device) {
  if (!detached(device)) return false;
  force_detach(device);
  return true;
}

void Toolstack::force_detach(const DevicePaths& device) {
  for (auto& [domid, blueprint] : blueprints_) {
    blueprint.vifs.erase(device.frontend);
    blueprint.vbds.erase(device.frontend);
  }
  NodeWriter writer(*store_);
  writer.transact([&] {
    // /local/domain/<id>/device/<class>/<handle> is noted as /libxl/<id>/device/...
    constexpr std::string_view kHome = "/local/domain/";
    writer.remove("/libxl/" + device.frontend.substr(kHome.size()));
    writer.remove(device.frontend);
    writer.remove(device.backend);
  });
}

std::optional<std::string> Toolstack::read(std::string_view path) { return store_->read(path); }

void Toolstack::write(std::string_view path, std::string_view value) {
  require(store_->write(path, value), path);
}

void Toolstack::remove(std::string_view path) {
  const int error = store_->remove(path);
  if (error != ENOENT) require(error, path);
}

}  // namespace ringside::sim
