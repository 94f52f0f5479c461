#pragma once

#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/callback_list.hpp"
#include "protocols/xenbus/interfaces/debug.hpp"
#include "protocols/xenbus/interfaces/events.hpp"
#include "protocols/xenbus/platform_ports.hpp"

namespace ringside::xenbus {

/// Has drivers tell about themselves when the debug interrupt comes.
class Debugger final : public Debug {
 public:
  Debugger(platform::Platform& platform, Events& events, PlatformPorts& host)
      : platform_(platform), events_(events), host_(host), callbacks_(platform) {}

  Status start();
  /// The interrupt is bound again in the new domain. LATE.
  Status resume();

  Result<Owned<Callback>> add(const char* name, Delegate tell) override;
  void print(std::string_view line) override;
  void trigger() override { callbacks_.run(); }

 private:
  platform::Platform& platform_;
  Events& events_;
  PlatformPorts& host_;
  CallbackList callbacks_;
  Owned<EventChannel> interrupt_;
};

}  // namespace ringside::xenbus
