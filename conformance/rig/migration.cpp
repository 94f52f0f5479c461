#include "conformance/rig/migration.hpp"

namespace ringside::conformance {

bool any_grant_used(sim::Domain& domain) {
  const sim::GrantTable& grants = domain.grants();
  for (sim::GrantRef ref = GNTTAB_NR_RESERVED_ENTRIES; ref < grants.entries(); ++ref) {
    if (grants.use_count(ref) > 0) return true;
  }
  return false;
}

uint16_t receive(DriverGuest& guest, Host& to, const sim::GuestConfig& config) {
  const uint16_t domid =
      to.toolstack().receive(guest.host().toolstack(), guest.domid(), config).id();
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

void migrate(DriverGuest& guest, Host& to, const std::vector<sim::DevicePaths>& devices,
             const std::function<void(uint16_t domid)>& attach, const sim::GuestConfig& config) {
  Host& from = guest.host();
  sim::Domain& source = guest.domain();
  for (const sim::DevicePaths& device : devices) from.toolstack().force_detach(device);
  from.require("the back ends to let go", [&] { return !any_grant_used(source); });
  const uint32_t before = guest.bus().suspend().count();
  const uint16_t domid = receive(guest, to, config);
  attach(domid);
  to.toolstack().finish_restore(domid);
  to.require("the guest to resume", [&] {
    return guest.bus().suspend().count() != before && !guest.bus().suspend().busy();
  });
}

}  // namespace ringside::conformance
