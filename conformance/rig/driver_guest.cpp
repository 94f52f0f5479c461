#include "conformance/rig/driver_guest.hpp"

#include <fmt/format.h>

#include <utility>

namespace ringside::conformance {

DriverGuest::DriverGuest(Host& host, const sim::GuestConfig& config, Interposer* interposer,
                         const std::map<std::string, uint32_t>& settings)
    : host_(&host),
      interposer_(interposer),
      guest_(std::make_unique<sim::Guest>(host.machine(), host.toolstack().create_domain(config))) {
  for (const auto& [name, value] : settings) guest_->set_setting(name, value);
  if (interposer != nullptr) interposer->enter(*guest_);
  xenbus::Hypercall& hypercall =
      interposer == nullptr ? guest_->hypercall() : interposer->hypercall(guest_->hypercall());
  Status status = Status::kOk;
  for (unsigned left = interposer == nullptr ? 1 : 2; left > 0 && !bus_; --left) {
    run([&] {
      auto bus = xenbus::Bus::create(guest_->platform(), hypercall);
      status = bus.status();
      if (bus) bus_ = *std::move(bus);
    });
  }
  if (!bus_) throw RigError(fmt::format("XENBUS did not start: {}", to_string(status)));
}

DriverGuest::~DriverGuest() {
  try {
    shut_down();
    const uint16_t id = domid();
    guest_.reset();
    host_->toolstack().destroy_domain(id);
  } catch (const std::exception&) {
    // A guest that hangs was reported by the run() that hung; the host goes down with it.
  }
}

void DriverGuest::run(const std::function<void()>& job, unsigned cpu, sim::Nanoseconds budget) {
  if (!guest_->run(cpu, job, budget)) throw Stuck("a job in the guest did not return");
}

bool DriverGuest::wait(platform::Event& event, sim::Nanoseconds budget) {
  Status status = Status::kTimedOut;
  run([&] { status = platform().wait_until(event, platform().now() + budget); });
  return ok(status);
}

std::vector<std::string> DriverGuest::shut_down() {
  if (!bus_) return {};
  run([this] { [[maybe_unused]] const auto last = std::exchange(bus_, {}); });
  return host_->machine().audit(domain());
}

}  // namespace ringside::conformance
