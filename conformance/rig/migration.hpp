#pragma once

#include <functional>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "sim/toolstack/domain_image.hpp"

namespace ringside::conformance {

/// Asks the guest to suspend, through control/shutdown, and waits until it is. The guest has a
/// SuspendAgent. From outside the actors.
void suspend(DriverGuest& guest);

/// A peer still maps something of the domain, which can't go before that ends; the store's and the
/// console's pages, which the toolstack sees to, do not count.
bool any_grant_used(sim::Domain& domain);

/// Moves a saved guest into a new domain of `to`, where it stays suspended until
/// Toolstack::finish_restore(); the domain's id. Anywhere.
uint16_t receive(DriverGuest& guest, sim::DomainImage image, Host& to,
                 const sim::GuestConfig& config = {});

/// Takes a suspended guest off its host; the back ends of `devices` lose their nodes and let go
/// first. From outside the actors.
sim::DomainImage save(DriverGuest& guest, const std::vector<sim::DevicePaths>& devices);

/// Goes on with it on a host; `attach` gives the new domain its devices. Returns when all LATE
/// callbacks have run.
void restore(DriverGuest& guest, sim::DomainImage image, Host& on,
             const std::function<void(uint16_t domid)>& attach,
             const sim::GuestConfig& config = {});

/// Both at once, on the same host.
void restore(DriverGuest& guest, const std::vector<sim::DevicePaths>& devices,
             const std::function<void(uint16_t domid)>& attach,
             const sim::GuestConfig& config = {});

/// Both at once, to another host, which has a Xen, a store and back ends of its own.
void migrate(DriverGuest& guest, Host& to, const std::vector<sim::DevicePaths>& devices,
             const std::function<void(uint16_t domid)>& attach,
             const sim::GuestConfig& config = {});

}  // namespace ringside::conformance
