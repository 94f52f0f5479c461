#pragma once

#include "protocols/xenvif/packet.hpp"

namespace ringside::xennet {

/// A queue of XENVIF as sender and receiver use it: on its CPU and at dispatch level.
/// The promises are those of xenvif::Queue.
class Port {
 public:
  virtual Status transmit(const xenvif::TxPacket& packet) = 0;
  virtual void flush() = 0;
  virtual void give_back(const xenvif::RxPacket& packet) = 0;

 protected:
  ~Port() = default;
};

}  // namespace ringside::xennet
