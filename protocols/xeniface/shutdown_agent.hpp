#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/interfaces/services.hpp"

namespace ringside::xeniface {

enum class PowerAction : uint8_t { kPowerOff, kReboot, kSleep, kHibernate };

/// What this system can do about its power, as the shell or the agent's service knows.
class PowerActions {
 public:
  /// Whether it can now; a system without S3 or with hibernation off says so.
  virtual bool can(PowerAction action) const = 0;
  /// Begins it and returns; programs may then still take their time to close.
  virtual Status begin(PowerAction action) = 0;

 protected:
  ~PowerActions() = default;
};

/// Serves control/shutdown: poweroff, halt, reboot, s3, s4 and hibernate.
///
/// "suspend" is XENBUS's own and is left alone here, as is what nobody knows. Must be gone
/// before the bus. Source: docs/misc/xenstore-paths.pandoc, ~/control/shutdown.
class ShutdownAgent {
 public:
  static Result<platform::Box<ShutdownAgent>> create(const xenbus::Services& services,
                                                     PowerActions& actions);
  ShutdownAgent(const xenbus::Services& services, PowerActions& actions)  ///< see create()
      : services_(services), actions_(actions) {}
  ShutdownAgent(const ShutdownAgent&) = delete;
  ShutdownAgent& operator=(const ShutdownAgent&) = delete;
  /// Passive level. Withdraws what advertise() said.
  ~ShutdownAgent();

  /// Says what can be done in control/feature-*, as it is said again after each resume where there
  /// is SUSPEND. To be called when that changes. Passive level. [IFACE-061]
  void advertise() { write_features(true); }

 private:
  static constexpr unsigned kMaxCommitTries = 32;
  static constexpr platform::Nanoseconds kRetry = 100 * platform::kMillisecond;

  Status start();
  void changed() { work_->queue(); }
  void run();
  /// Takes a request that can be served out of the node; kNotFound when there is none.
  Result<PowerAction> take_request();
  Result<PowerAction> take_request(xenbus::Transaction transaction);
  void write_features(bool present);

  xenbus::Services services_;
  PowerActions& actions_;
  Owned<platform::Work> work_;
  Owned<platform::Timer> retry_;  ///< queues the work again
  Owned<xenbus::Watch> watch_;    ///< behind the work, to be gone before it
  Owned<xenbus::SuspendCallback> late_;
};

}  // namespace ringside::xeniface
