#pragma once

#include <functional>
#include <vector>

#include "conformance/rig/driver_guest.hpp"

namespace ringside::conformance {

/// Asks the guest to suspend, through control/shutdown, and waits until it is. The guest has a
/// SuspendAgent. From outside the actors.
void suspend(DriverGuest& guest);

/// A peer still maps something of the domain, which can't go before that ends; the store's and the
/// console's pages, which the toolstack sees to, do not count.
bool any_grant_used(sim::Domain& domain);

/// Moves a suspended guest into a new domain of `to`, where it stays suspended until
/// Toolstack::finish_restore(); the domain's id. Its peers must have let go. Anywhere.
uint16_t receive(DriverGuest& guest, Host& to, const sim::GuestConfig& config = {});

/// Goes on with a suspended guest in a new domain, as restore and migration do: the back ends
/// of `devices` lose their nodes and let go, the memory moves, and `attach` gives the new domain
/// its devices; `config` is what the new host makes of it. Returns when all LATE callbacks have
/// run.
void restore(DriverGuest& guest, const std::vector<sim::DevicePaths>& devices,
             const std::function<void(uint16_t domid)>& attach,
             const sim::GuestConfig& config = {});

/// The same on another host, which has a Xen, a store and back ends of its own.
void migrate(DriverGuest& guest, Host& to, const std::vector<sim::DevicePaths>& devices,
             const std::function<void(uint16_t domid)>& attach,
             const sim::GuestConfig& config = {});

}  // namespace ringside::conformance
