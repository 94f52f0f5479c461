#include "conformance/rig/migration.hpp"

namespace ringside::conformance {

bool any_grant_used(sim::Domain& domain) {
  const sim::GrantTable& grants = domain.grants();
  for (sim::GrantRef ref = GNTTAB_NR_RESERVED_ENTRIES; ref < grants.entries(); ++ref) {
    if (grants.use_count(ref) > 0) return true;
  }
  return false;
}

uint16_t receive(DriverGuest& guest, sim::DomainImage image, Host& to,
                 const sim::GuestConfig& config) {
  const uint16_t domid = to.toolstack().restore(std::move(image), config).id();
  guest.moved_to(to);
  return domid;
}

void suspend(DriverGuest& guest) {
  guest.host().toolstack().request(guest.domid(), "suspend");
  guest.host().require("the guest to suspend",
                       [&] { return guest.domain().shutdown_reason() == SHUTDOWN_suspend; });
}

void restore(DriverGuest& guest, const std::vector<sim::DevicePaths>& devices,
             const std::function<void(uint16_t domid)>& attach, const sim::GuestConfig& config) {
  migrate(guest, guest.host(), devices, attach, config);
}

sim::DomainImage save(DriverGuest& guest, const std::vector<sim::DevicePaths>& devices) {
  Host& host = guest.host();
  for (const sim::DevicePaths& device : devices) host.toolstack().force_detach(device);
  host.require("the back ends to let go", [&] { return !any_grant_used(guest.domain()); });
  return host.toolstack().save(guest.domid());
}

void restore(DriverGuest& guest, sim::DomainImage image, Host& on,
             const std::function<void(uint16_t domid)>& attach, const sim::GuestConfig& config) {
  const uint32_t before = guest.bus().suspend().count();
  const uint16_t domid = receive(guest, std::move(image), on, config);
  attach(domid);
  on.toolstack().finish_restore(domid);
  on.require("the guest to resume", [&] {
    return guest.bus().suspend().count() != before && !guest.bus().suspend().busy();
  });
}

void migrate(DriverGuest& guest, Host& to, const std::vector<sim::DevicePaths>& devices,
             const std::function<void(uint16_t domid)>& attach, const sim::GuestConfig& config) {
  restore(guest, save(guest, devices), to, attach, config);
}

}  // namespace ringside::conformance
