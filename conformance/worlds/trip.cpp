#include "conformance/worlds/trip.hpp"

#include "conformance/rig/migration.hpp"

namespace ringside::conformance {

Trip::Trip(Targets& targets, DriverGuest& guest, const sim::Fault& fault)
    : targets_(targets), guest_(guest), fault_(fault) {
  guest.host().toolstack().request(guest.domid(), "suspend");
}

sim::Nanoseconds Trip::step() {
  while (advance()) {
  }
  return over() ? platform::kForever : targets_.host().world().now() + kLook;
}

/// True when something moved.
bool Trip::advance() {
  const sim::Nanoseconds now = targets_.host().world().now();
  switch (phase_) {
    case Phase::kAsked:
      if (guest_.domain().shutdown_reason() != SHUTDOWN_suspend) return false;
      since_ = now;
      phase_ = Phase::kSuspended;
      return true;
    case Phase::kSuspended:
      // An image is made at once and lies about; the others wait here.
      if (fault_.kind != sim::FaultKind::kSave && now < since_ + fault_.span) return false;
      if (fault_.kind == sim::FaultKind::kSuspend) {
        guest_.host().toolstack().cancel_suspend(guest_.domid());
        phase_ = Phase::kResuming;
        return true;
      }
      detach();
      phase_ = Phase::kDetaching;
      return true;
    case Phase::kDetaching:
      if (any_grant_used(guest_.domain())) return false;
      image_.emplace(guest_.host().toolstack().save(guest_.domid()));
      phase_ = Phase::kSaved;
      return true;
    case Phase::kSaved:
      if (now < since_ + fault_.span) return false;
      arrive();
      phase_ = Phase::kResuming;
      return true;
    case Phase::kResuming:
      if (guest_.bus().suspend().busy()) return false;
      phase_ = Phase::kOver;
      return false;
    case Phase::kOver: return false;
  }
  return false;
}

void Trip::detach() {
  for (const Targets::Device& device : targets_.devices) {
    if (device.guest == &guest_) guest_.host().toolstack().force_detach(device.paths);
  }
}

void Trip::arrive() {
  Site& site = *targets_.sites[fault_.amount % targets_.sites.size()];
  const uint16_t domid = receive(guest_, *std::move(image_), site.host());
  image_.reset();
  for (Targets::Device& device : targets_.devices) {
    if (device.guest == &guest_) device.paths = device.attach(site, domid);
  }
  site.host().toolstack().finish_restore(domid);
}

}  // namespace ringside::conformance
