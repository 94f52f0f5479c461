#pragma once

#include <cstdint>

#include "protocols/xenvif/packet.hpp"

namespace ringside::xenvif {

class Queue;

enum class LinkState : uint8_t { kDown, kUp };

/// What the owner of a vif (an NDIS miniport, a traffic generator) is told.
///
/// Queue calls come at dispatch level on the queue's CPU, or from within the client's own
/// call of that queue; link_changed() and those of a closing device at passive level.
class Client {
 public:
  /// The packet with this cookie is done, for whatever reason; its memory is the client's
  /// again. Once for each packet that transmit() took, possibly before transmit() returns.
  virtual void transmitted(Queue& queue, uint64_t cookie, TxStatus status) = 0;
  /// transmit() answered kNoResources and there is room again.
  virtual void room(Queue& queue) = 0;
  /// `packet` is lent until Queue::give_back(), which may be called from here.
  virtual void received(Queue& queue, const RxPacket& packet) = 0;
  /// The calls above have come to an end that were not made from within a call of the client's
  /// own: what was gathered can be passed on. The client may call the queue from here.
  virtual void served(Queue& queue) { (void)queue; }
  /// Packets can flow (both sides Connected, carrier present), or no longer.
  virtual void link_changed(LinkState link) = 0;
  /// The toolstack wants the device back: true lets it go at once; with false it stays until
  /// close() or refuse_eject(). Passive level. [XENBUS-018]
  virtual bool eject_requested() { return true; }

 protected:
  ~Client() = default;
};

}  // namespace ringside::xenvif
