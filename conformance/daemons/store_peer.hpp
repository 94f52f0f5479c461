#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sim/xenstore/connection.hpp"

namespace ringside::conformance {

/// A client of some store daemon that says exactly what it is told, byte by byte: no library
/// between it and the wire. Throws Stuck when the daemon neither answers nor hangs up.
class StorePeer {
 public:
  using Message = sim::xenstore::Message;

  virtual ~StorePeer() = default;

  void send(const Message& message);
  /// One after the other, without a pause between them.
  void send(std::span<const Message> messages);
  /// The next reply or watch event; nothing when the daemon has ended the connection.
  std::optional<Message> receive();

 protected:
  /// Sends all of it, or what could be sent before the daemon hung up.
  virtual void put(std::string_view bytes) = 0;
  /// Waits for up to `most` bytes; none when the daemon has hung up.
  virtual std::string get(size_t most) = 0;

 private:
  sim::xenstore::MessageReader reader_;
};

/// Connects to the daemon's socket; nullptr while nobody listens there.
std::unique_ptr<StorePeer> connect_socket(const std::string& path);

/// A domain's store page and the event channel that goes with it, seen from the domain.
class StoreRing {
 public:
  virtual ~StoreRing() = default;
  virtual xenstore_domain_interface& page() = 0;
  /// Sends the daemon an event.
  virtual void notify() = 0;
  /// Waits for an event from it; false when none came for a long time.
  virtual bool wait() = 0;
};

/// A domain that speaks through its ring, which must outlive it.
std::unique_ptr<StorePeer> connect_ring(StoreRing& ring);

}  // namespace ringside::conformance
