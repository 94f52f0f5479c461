#pragma once

#include "protocols/platform/memory.hpp"
#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/balloon.hpp"
#include "protocols/xenbus/bus_directory.hpp"
#include "protocols/xenbus/debugger.hpp"
#include "protocols/xenbus/domain_console.hpp"
#include "protocols/xenbus/event_channels.hpp"
#include "protocols/xenbus/foreign_maps.hpp"
#include "protocols/xenbus/grant_table.hpp"
#include "protocols/xenbus/hypercalls.hpp"
#include "protocols/xenbus/interfaces/services.hpp"
#include "protocols/xenbus/shared_info_page.hpp"
#include "protocols/xenbus/store_client.hpp"
#include "protocols/xenbus/suspender.hpp"
#include "protocols/xenbus/unplugger.hpp"

namespace ringside::xenbus {

/// XENBUS itself: shared info, grant table, event channels and store of one domain.
///
/// Its destruction gives back all it took, so that another driver can start afresh; every
/// cache, channel, watch and device made from it must be gone by then.
class Bus {
 public:
  /// `below` is who else provides interfaces (XENFILT), or null; it must outlive the bus.
  /// kAccessDenied when the host refuses these drivers.
  static Result<platform::Box<Bus>> create(platform::Platform& platform, Hypercall& hypercall,
                                           Directory* below = nullptr);

  Bus(platform::Platform& platform, Hypercall& hypercall, Directory* below);  ///< see create()
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;
  ~Bus();

  /// Where other drivers find what they need.
  BusDirectory& directory() { return directory_; }
  /// For what is part of XENBUS itself.
  Services services() { return {platform_, grants_, events_, store_, &suspend_}; }
  platform::Platform& platform() { return platform_; }
  GrantTable& grants() { return grants_; }
  ForeignMaps& foreign() { return foreign_; }
  EventChannels& events() { return events_; }
  StoreClient& store() { return store_; }
  Suspend& suspend() { return suspend_; }
  Unplugger& unplug() { return unplug_; }
  SharedInfoPage& shared_info() { return shared_info_; }
  Console& console() { return console_; }
  Debug& debug() { return debug_; }
  PageBalloon& balloon() { return balloon_; }

 private:
  static constexpr unsigned kLateTries = 50;
  static constexpr platform::Nanoseconds kLatePause = 100 * platform::kMillisecond;

  Status start();
  void resume_early();
  void resume_late();
  /// Repeats a step of the resume that may succeed later.
  template <typename Step>
  Status insist(Step step, std::string_view complaint);
  void tell();

  platform::Platform& platform_;
  Hypercalls xen_;
  Unplugger unplug_;
  SharedInfoPage shared_info_;
  GrantTable grants_;
  ForeignMaps foreign_;
  EventChannels events_;
  Debugger debug_;
  StoreClient store_;
  DomainConsole console_;
  Suspender suspend_;
  PageBalloon balloon_;
  Owned<platform::Event> never_;  ///< to wait for time to pass
  Owned<SuspendCallback> early_;
  Owned<SuspendCallback> late_;
  Owned<Callback> telling_;
  BusDirectory directory_;
};

}  // namespace ringside::xenbus
