#include "backends/xenbus/backend_device.hpp"

#include <algorithm>

namespace ringside::backends {

BackendDevice::BackendDevice(Handles& handles, std::string path, uint16_t domain,
                             xenbus_state ready)
    : handles_(handles),
      store_(handles.store),
      path_(std::move(path)),
      domain_(domain),
      ready_(ready) {}

BackendDevice::~BackendDevice() {
  if (frontend_.empty()) return;
  xs_unwatch(handles_.store, (frontend_ + "/state").c_str(), path_.c_str());
}

void BackendDevice::start() {
  const auto frontend = store_.read(path_ + "/frontend");
  if (!frontend || frontend->empty()) return;  // its nodes are not all there yet
  frontend_ = *frontend;
  opened_ = open();
  if (opened_ && publish_features()) become(XenbusStateInitWait);
  // The watch fires once at once, which looks at the front end's state for the first time.
  xs_watch(handles_.store, (frontend_ + "/state").c_str(), path_.c_str());
}

void BackendDevice::changed() {
  if (frontend_.empty()) return start();
  const auto peer =
      static_cast<xenbus_state>(store_.number(frontend_ + "/state").value_or(XenbusStateUnknown));
  const bool closing =
      store_.number(path_ + "/state").value_or(XenbusStateUnknown) == XenbusStateClosing;
  // XENBUS-016: the same state written twice is one connection.
  if (peer == ready_) {
    if (state_ == XenbusStateInitWait && !closing) return connect();
    if (connected()) reread();
    return;
  }
  switch (peer) {
    case XenbusStateInitialising: return front_end_initialising(closing);
    case XenbusStateClosing:
      disconnect();
      if (state_ != XenbusStateClosed) become(XenbusStateClosing);
      break;
    case XenbusStateClosed:
      // A back end that has just started waits for the front end to come back.
      if (state_ == XenbusStateInitWait && !closing) break;
      [[fallthrough]];
    case XenbusStateUnknown:
      disconnect();
      become(XenbusStateClosed);
      break;
    default: break;  // XENBUS-001, XENBUS-015
  }
}

void BackendDevice::front_end_initialising(bool closing) {
  if (closing && !store_.flag(path_ + "/online", true)) {
    // Detached before the guest took it up: there is nobody to wait for.
    return become(XenbusStateClosed);
  }
  // XENBUS-012: a driver was loaded anew.
  disconnect();
  if (!opened_ || state_ == XenbusStateInitWait) return;
  if (publish_features()) become(XenbusStateInitWait);
}

void BackendDevice::become(xenbus_state state) {
  if (state == state_) return;
  state_ = state;
  store_.transact([&](xs_transaction_t in) {
    return there(in) && store_.write(path_ + "/state", std::to_string(static_cast<int>(state)), in);
  });
}

/// A write would bring back the directory of a device that the toolstack has removed.
bool BackendDevice::there(xs_transaction_t in) const {
  return store_.read(path_ + "/frontend", in).has_value();
}

void BackendDevice::fail(const std::string& why) {
  disconnect();
  const size_t backend = path_.rfind("/backend/");
  if (backend != std::string::npos) {
    store_.write(path_.substr(0, backend) + "/error" + path_.substr(backend) + "/error", why);
  }
  become(XenbusStateClosing);
}

bool BackendDevice::publish(const Entries& entries,
                            std::initializer_list<const char*> stale) const {
  return store_.transact([&](xs_transaction_t in) {
    if (!there(in)) return false;
    for (const char* key : stale) xs_rm(handles_.store, in, (path_ + "/" + key).c_str());
    return std::all_of(entries.begin(), entries.end(), [&](const auto& entry) {
      return store_.write(path_ + "/" + entry.first, std::to_string(entry.second), in);
    });
  });
}

}  // namespace ringside::backends
