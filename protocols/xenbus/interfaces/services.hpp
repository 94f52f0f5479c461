#pragma once

#include "protocols/platform/platform.hpp"
#include "protocols/xenbus/interfaces/events.hpp"
#include "protocols/xenbus/interfaces/grants.hpp"
#include "protocols/xenbus/interfaces/store.hpp"
#include "protocols/xenbus/interfaces/suspend.hpp"

namespace ringside::xenbus {

/// What a device driver (XENVIF, XENVBD) is handed to stand on. Does not own any of it.
struct Services {
  platform::Platform& platform;
  Grants& grants;
  Events& events;
  Store& store;
  Suspend* suspend = nullptr;  ///< null where the provider cannot be suspended
};

}  // namespace ringside::xenbus
