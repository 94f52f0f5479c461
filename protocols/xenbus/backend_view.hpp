#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/interfaces/services.hpp"
#include "protocols/xenbus/node.hpp"

namespace ringside::xenbus {

/// XenbusState of xen/io/xenbus.h; a value outside the list reads as kUnknown. [XENBUS-001]
enum class DeviceState : uint8_t {
  kUnknown,
  kInitialising,
  kInitWait,
  kInitialised,
  kConnected,
  kClosing,
  kClosed,
  kReconfiguring,
  kReconfigured,
};

DeviceState parse_state(std::string_view text);

/// A device's back end, as the store shows it: found through the front end's keys and watched.
/// Passive level.
class BackendView {
 public:
  /// One look at the back end's directory.
  struct Sight {
    bool present = false;
    bool online = false;
    DeviceState state = DeviceState::kUnknown;
  };

  /// `changed` is called at dispatch level when anything in the directory did.
  BackendView(Store& store, Delegate changed) : store_(store), changed_(changed) {}
  BackendView(const BackendView&) = delete;
  BackendView& operator=(const BackendView&) = delete;

  /// Reads where it is and watches that place. kNotFound when the front end does not say.
  Status find(const Node& frontend);
  /// Not present unless find() found it.
  Result<Sight> look() const;
  /// A look at any back end's directory.
  static Result<Sight> look(Store& store, std::string_view path);
  void stop_watching() { watch_.reset(); }

  DomainId domain() const { return domain_; }
  Node node() const { return {store_, kNoTransaction, path_.view()}; }

 private:
  Store& store_;
  Delegate changed_;
  platform::Buffer path_;
  DomainId domain_ = 0;
  Owned<Watch> watch_;
};

}  // namespace ringside::xenbus
