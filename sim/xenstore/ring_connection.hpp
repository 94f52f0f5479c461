#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "sim/xenstore/connection.hpp"
#include "sim/xenstore/server.hpp"

namespace ringside::sim::xenstore {

/// The server's end of one domain's store page.
///
/// The domain is not trusted: indices further apart than the ring is long, or too long a
/// message, end the service with a reason in the page's `error` field until the domain asks
/// for a new connection. Source: xs_wire.h, docs/misc/xenstore-ring.txt.
class RingConnection {
 public:
  /// `page` is the shared page, a struct xenstore_domain_interface, and must outlive this.
  RingConnection(Server& server, DomainId domain, std::byte* page);
  ~RingConnection();
  RingConnection(const RingConnection&) = delete;
  RingConnection& operator=(const RingConnection&) = delete;

  /// What a turn of serve() came to.
  struct Outcome {
    bool notify = false;  ///< an index moved: the domain is to get an event
    bool more = false;    ///< it stopped though there is more to do
  };
  /// Takes requests and hands out replies and events as far as both rings allow.
  Outcome serve();
  /// Ends the service with that reason (XENSTORE_ERROR_*) until the domain asks for a new
  /// connection; the domain is to get an event.
  void ignore(uint32_t reason);

  /// The domain broke the protocol and is not served any more.
  bool ignored() const { return ignored_; }
  const std::shared_ptr<Connection>& connection() const { return connection_; }

 private:
  void restart();
  bool receive();
  bool transmit();
  bool take_bytes(uint32_t produced);

  Server& server_;
  xenstore_domain_interface* page_;
  std::shared_ptr<Connection> connection_;
  MessageReader reader_;
  OutputStream output_;
  // This side's own indices: what the domain does to them in the page is of no interest.
  uint32_t requests_consumed_;
  uint32_t responses_produced_;
  bool ignored_ = false;
  unsigned served_ = 0;
};

}  // namespace ringside::sim::xenstore
