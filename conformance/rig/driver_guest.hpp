#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "conformance/rig/host.hpp"
#include "protocols/xenbus/bus.hpp"
#include "sim/guest/guest.hpp"

namespace ringside::conformance {

/// A guest domain in which XENBUS runs: what device drivers stand on.
class DriverGuest {
 public:
  /// Stands between the drivers and what they stand on, to make it fail.
  class Interposer {
   public:
    /// Before anything runs in the guest.
    virtual void enter(sim::Guest& guest) = 0;
    virtual xenbus::Hypercall& hypercall(xenbus::Hypercall& real) = 0;
    virtual xenbus::Services services(const xenbus::Services& real) = 0;

   protected:
    ~Interposer() = default;
  };

  /// With an interposer XENBUS gets a second chance to start. `settings` are what it finds in
  /// its registry.
  explicit DriverGuest(Host& host, const sim::GuestConfig& config = {},
                       Interposer* interposer = nullptr,
                       const std::map<std::string, uint32_t>& settings = {});
  /// Takes XENBUS down and destroys the domain. Devices must be gone before.
  ~DriverGuest();
  DriverGuest(const DriverGuest&) = delete;
  DriverGuest& operator=(const DriverGuest&) = delete;

  /// Where it runs at present.
  Host& host() { return *host_; }
  /// The guest runs on that host now.
  void moved_to(Host& host) { host_ = &host; }
  sim::Domain& domain() { return guest_->domain(); }
  uint16_t domid() const { return guest_->domain().id(); }
  sim::Guest& guest() { return *guest_; }
  platform::Platform& platform() { return guest_->platform(); }
  xenbus::Bus& bus() { return *bus_; }
  xenbus::Services services() { return interposed(bus_->services()); }
  /// What a driver that acquired `real` sees of it.
  xenbus::Services interposed(const xenbus::Services& real) {
    return interposer_ == nullptr ? real : interposer_->services(real);
  }

  /// Runs `job` at passive level on a vCPU and drives the world until it has returned; a
  /// job that never does throws Stuck. From outside the actors.
  void run(const std::function<void()>& job, unsigned cpu = 0,
           sim::Nanoseconds budget = Host::kPatience);

  /// Waits inside the guest; false when the event is not set within `budget`.
  bool wait(platform::Event& event, sim::Nanoseconds budget = Host::kPatience / 2);

  /// Takes XENBUS down; what the guest then still holds is in the answer, one line each.
  std::vector<std::string> shut_down();

 private:
  Host* host_;
  Interposer* interposer_;
  std::unique_ptr<sim::Guest> guest_;
  platform::Box<xenbus::Bus> bus_;
};

}  // namespace ringside::conformance
