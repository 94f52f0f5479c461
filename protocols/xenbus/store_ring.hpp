#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocols/platform/status.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/xenbus/byte_ring.hpp"

namespace ringside::xenbus {

/// The guest's end of the two byte rings it shares with xenstored.
///
/// Keeps its own two indices privately and believes the other two only within 0..1024
/// bytes in flight. Source: xs_wire.h, xenstore-ring.txt. [STORE-005..008]
class StoreRing {
 public:
  StoreRing() = default;
  /// Starts where the page says that both rings are. [STORE-005]
  explicit StoreRing(std::byte* page);

  /// Copies as much of `bytes` as there is room for and publishes it. kPeerViolation when the
  /// peer's index is out of bounds. [STORE-008]
  Result<size_t> write(std::span<const std::byte> bytes) { return requests_.write(bytes); }
  /// Takes as many bytes as there are, up to `room`.
  Result<size_t> read(std::span<std::byte> room) { return responses_.read(room); }

  /// kClosed once xenstored has declared the connection dead. [STORE-021]
  Status health() const;
  bool idle() const;
  /// xenstored understands a request to start afresh. [STORE-020]
  bool can_reconnect() const;
  bool reconnecting() const;
  void request_reconnect();

 private:
  xenstore_domain_interface* page_ = nullptr;
  ByteRingEnd requests_;
  ByteRingEnd responses_;
};

}  // namespace ringside::xenbus
