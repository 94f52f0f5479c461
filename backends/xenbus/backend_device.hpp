#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "backends/xenbus/handles.hpp"
#include "protocols/platform/xen.hpp"

namespace ringside::backends {

/// One device's back end as xenbus sees it: its directory, the front end it follows, its state.
///
/// What kind of device it is lies in the derived class. Source: xen/io/xenbus.h; the order of
/// states is that of Linux' netback and blkback.
class BackendDevice {
 public:
  /// `path` is its own directory in the store, `ready` the state in which a front end of its
  /// kind has published its rings. [XENBUS-004]
  BackendDevice(Handles& handles, std::string path, uint16_t domain, xenbus_state ready);
  /// The derived class has disconnected.
  virtual ~BackendDevice();
  BackendDevice(const BackendDevice&) = delete;
  BackendDevice& operator=(const BackendDevice&) = delete;

  /// Publishes the features and follows the front end from here on.
  void start();
  /// Something changed in its own directory or in the front end's state.
  void changed();
  const std::string& path() const { return path_; }

  virtual bool connected() const = 0;
  /// Notes an event of one of its channels; false when the channel is another's.
  virtual bool event(evtchn_port_t port) = 0;
  /// False when pump() would find nothing to do, unless a node changed.
  virtual bool due() const { return true; }
  /// Does all the work there is.
  virtual void pump() = 0;

 protected:
  using Entries = std::vector<std::pair<const char*, uint64_t>>;

  /// What is needed before features can be published; false when it failed and said so.
  virtual bool open() { return true; }
  virtual bool publish_features() = 0;
  /// The front end is ready: takes up its rings and becomes Connected, or fails.
  virtual void connect() = 0;
  /// While connected: a node changed that is watched.
  virtual void reread() {}
  /// Holds nothing of the guest's any more. [XENBUS-008]
  virtual void disconnect() = 0;

  void become(xenbus_state state);
  /// Disconnects, and leaves the reason where Linux' xenbus_dev_fatal() does.
  void fail(const std::string& why);
  /// Writes numbers to its own directory in one transaction, `stale` ones removed before.
  bool publish(const Entries& entries, std::initializer_list<const char*> stale = {}) const;

  Handles& handles() const { return handles_; }
  const StoreView& store() const { return store_; }
  const std::string& frontend() const { return frontend_; }
  uint16_t domain() const { return domain_; }
  xenbus_state state() const { return state_; }

 private:
  bool there(xs_transaction_t in) const;
  void front_end_initialising(bool closing);

  Handles& handles_;
  StoreView store_;
  std::string path_;
  std::string frontend_;
  uint16_t domain_;
  xenbus_state ready_;
  xenbus_state state_ = XenbusStateUnknown;
  bool opened_ = false;
};

}  // namespace ringside::backends
