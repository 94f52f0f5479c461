#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "conformance/rig/driver_guest.hpp"
#include "protocols/xenbus/acquired_services.hpp"

namespace ringside::conformance {

/// One device of a guest: attached by the toolstack, driven by its front end (Vif, Vbd).
template <typename Driver, typename Client>
class FrontEnd {
 public:
  /// `kind` and `id` name the front end's directory: device/vif/0.
  FrontEnd(DriverGuest& guest, Client& client, sim::DevicePaths paths, std::string_view kind,
           unsigned id)
      : guest_(guest), paths_(std::move(paths)) {
    Status status = Status::kOk;
    guest_.run([&] {
      auto held = xenbus::AcquiredServices::acquire(guest_.platform(), guest_.bus().directory(),
                                                    Driver::kConsumer);
      status = held.status();
      if (!held) return;
      held_ = *std::move(held);
      auto driver = Driver::create(guest_.interposed(held_.services()),
                                   fmt::format("device/{}/{}", kind, id), client);
      status = driver.status();
      if (driver) driver_ = *std::move(driver);
    });
    if (!driver_) throw RigError(fmt::format("no {}: {}", kind, to_string(status)));
  }
  /// Closes, detaches and destroys it.
  ~FrontEnd() {
    try {
      (void)close();
      guest_.run([this] {
        [[maybe_unused]] const auto last_held = std::exchange(held_, {});
        [[maybe_unused]] const auto last = std::exchange(driver_, {});
      });
      guest_.host().toolstack().force_detach(paths_);
    } catch (const std::exception&) {
      // A guest that hangs was reported by the call that hung.
    }
  }
  FrontEnd(const FrontEnd&) = delete;
  FrontEnd& operator=(const FrontEnd&) = delete;

  Driver& operator*() { return *driver_; }
  Driver* operator->() { return driver_.get(); }
  DriverGuest& guest() { return guest_; }
  const sim::DevicePaths& paths() const { return paths_; }

  /// Starts the front end (or opens it again after close()) and lets the world run until
  /// both sides are Connected; false when they do not get there.
  [[nodiscard]] bool connect() {
    Status status = Status::kOk;
    guest_.run([&] { status = started_ ? driver_->reopen() : driver_->start(); });
    started_ = true;
    return ok(status) && guest_.wait(driver_->device().connected());
  }

  /// Closes the front end and waits until everything is released; the nodes stay.
  [[nodiscard]] bool close() {
    if (!started_ || !driver_) return true;
    guest_.run([this] { driver_->close(); });
    return guest_.wait(driver_->device().closed());
  }

 private:
  DriverGuest& guest_;
  sim::DevicePaths paths_;
  xenbus::AcquiredServices held_;
  platform::Box<Driver> driver_;
  bool started_ = false;
};

}  // namespace ringside::conformance
