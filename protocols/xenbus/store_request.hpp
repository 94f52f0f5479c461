#pragma once

#include "protocols/platform/memory.hpp"
#include "protocols/xenbus/store_client.hpp"

namespace ringside::xenbus {

/// One request from its submission to its reply. Guarded by the client's lock.
struct StoreClient::Request {
  bool begun() const { return sent != 0; }
  /// Repeating it does no harm: it changes nothing and belongs to no transaction.
  bool only_reads() const {
    const bool reads = header.type == XS_READ || header.type == XS_DIRECTORY;
    return reads && header.tx_id == 0;
  }

  xsd_sockmsg header{};
  platform::Array<char> bytes;  ///< header and payload as they go into the ring
  size_t sent = 0;
  bool done = false;
  bool abandoned = false;  ///< nobody waits; owned by `self`
  Status status = Status::kOk;
  platform::Buffer reply;
  Owned<platform::Event> answered;
  Request* next = nullptr;
  platform::Box<Request> self;
};

}  // namespace ringside::xenbus
