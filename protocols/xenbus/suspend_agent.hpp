#pragma once

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/interfaces/services.hpp"

namespace ringside::xenbus {

/// Serves "suspend" in control/shutdown and advertises control/feature-suspend, also after each
/// resume. What else is asked for there is the shutdown agent's. Must be gone before the bus.
/// Source: docs/misc/xenstore-paths.pandoc, ~/control/shutdown. [CONTROL-001, CONTROL-002]
class SuspendAgent {
 public:
  /// kNotSupported when `services` has no SUSPEND.
  static Result<platform::Box<SuspendAgent>> create(const Services& services);
  explicit SuspendAgent(const Services& services) : services_(services) {}  ///< see create()
  SuspendAgent(const SuspendAgent&) = delete;
  SuspendAgent& operator=(const SuspendAgent&) = delete;
  /// Passive level. Withdraws the feature.
  ~SuspendAgent();

 private:
  static constexpr unsigned kMaxCommitTries = 32;
  static constexpr platform::Nanoseconds kRetry = 100 * platform::kMillisecond;

  Status start();
  void changed() { work_->queue(); }
  void run();
  void advertise();
  /// Takes a request to suspend out of the node; kNotFound when there is none.
  Status take_request();
  Status take_request(Transaction transaction);

  Services services_;
  Owned<platform::Work> work_;
  Owned<platform::Timer> retry_;  ///< queues the work again
  Owned<Watch> watch_;
  Owned<SuspendCallback> late_;
};

}  // namespace ringside::xenbus
