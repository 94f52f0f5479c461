#pragma once

#include <fmt/format.h>

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conformance/rig/driver_guest.hpp"
#include "protocols/xenbus/acquired_services.hpp"

namespace ringside::conformance {

/// How far the peers of a world's guests can be trusted.
enum class Peers : uint8_t {
  kSound,   ///< what they answer is right, however late
  kHostile  ///< they write what they like into shared rings: no byte is sure to be right
};

/// One device of a guest from its creation to its end, as a passive job of the guest lives it:
/// tries again what fails for want of memory, references or channels, and comes back when the
/// connection was lost.
template <typename Driver>
class DeviceLife {
 public:
  DeviceLife(DriverGuest& guest, sim::DevicePaths paths, Peers peers)
      : guest_(guest),
        paths_(std::move(paths)),
        peers_(peers),
        patience_(guest.host().world().is_deterministic() ? 500 * platform::kMillisecond
                                                          : 300 * platform::kSecond) {
    // Twice: the first one may be an allocation that is to fail.
    for (unsigned left = 2; left > 0 && !progress_; --left) {
      guest_.run([this] {
        auto event = guest_.platform().create_event();
        if (event) progress_ = *std::move(event);
      });
    }
    if (!progress_) throw RigError("no event for a device's job");
  }
  DeviceLife(const DeviceLife&) = delete;
  DeviceLife& operator=(const DeviceLife&) = delete;

  const sim::DevicePaths& paths() const { return paths_; }
  DriverGuest& guest() { return guest_; }
  const std::vector<std::string>& findings() const { return findings_; }
  bool done() const { return done_.load(); }
  /// For a report on a world that does not end.
  std::string doing() const { return fmt::format("{}: {}", paths_.frontend, doing_.load()); }

 protected:
  ~DeviceLife() = default;

  platform::Platform& platform() { return guest_.platform(); }
  /// Nothing in a world takes longer than this, whatever is injected.
  sim::Nanoseconds patience() const { return patience_; }
  bool hostile() const { return peers_ == Peers::kHostile; }
  void finding(const std::string& what) {
    findings_.push_back(fmt::format("{}: {}", paths_.frontend, what));
  }

  /// Waits until `holds`, looking at every sign of progress; false after `limit`, which is
  /// patience() unless something else is said.
  bool wait(const char* what, const std::function<bool()>& holds,
            std::optional<sim::Nanoseconds> limit = {}) {
    constexpr sim::Nanoseconds kStep = 200'000;
    doing_ = what;
    const sim::Nanoseconds end = platform().now() + limit.value_or(patience_);
    while (!holds()) {
      const sim::Nanoseconds now = platform().now();
      if (now >= end) return false;
      progress_->reset();
      if (holds()) return true;
      (void)platform().wait_until(*progress_, std::min(end, now + kStep));
    }
    return true;
  }

  template <typename Client>
  bool create(Client& client) {
    const std::string path = paths_.frontend.substr(paths_.frontend.find("device/"));
    return wait("creating", [&] {
      auto held = xenbus::AcquiredServices::acquire(platform(), guest_.bus().directory(),
                                                    Driver::kConsumer);
      if (!held) return false;
      held_ = *std::move(held);
      auto driver = Driver::create(guest_.interposed(held_.services()), path, client);
      if (driver) driver_ = *std::move(driver);
      return static_cast<bool>(driver_);
    });
  }

  /// Starts, or opens again, until `up` holds. A hostile peer may never let it.
  bool connect(const std::function<bool()>& up) {
    const bool connected = wait("connecting", [&] {
      if (up()) return true;
      if (!started_) started_ = ok(driver_->start());
      if (started_ && is_set(driver_->device().closed())) (void)driver_->reopen();
      return up();
    });
    if (!connected && !hostile()) finding("did not connect");
    return connected;
  }

  /// Returns when everything is released.
  void close() {
    if (!started_) return;
    driver_->close();
    const auto closed = [this] { return is_set(driver_->device().closed()); };
    if (!wait("closing", closed)) finding("did not close");
  }

  void destroy() {
    doing_ = "destroying";
    driver_ = {};
    held_ = {};
    progress_.reset();
    done_ = true;
  }

  void progress() {
    if (progress_) progress_->signal();
  }
  Driver& driver() { return *driver_; }

 private:
  bool is_set(platform::Event& event) { return ok(platform().wait_until(event, 0)); }

  DriverGuest& guest_;
  sim::DevicePaths paths_;
  Peers peers_;
  sim::Nanoseconds patience_;
  Owned<platform::Event> progress_;
  xenbus::AcquiredServices held_;
  platform::Box<Driver> driver_;
  std::vector<std::string> findings_;
  std::atomic<const char*> doing_ = "waiting to begin";
  bool started_ = false;
  std::atomic<bool> done_ = false;
};

}  // namespace ringside::conformance
