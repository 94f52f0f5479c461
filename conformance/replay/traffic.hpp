#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "conformance/replay/capture.hpp"
#include "conformance/replay/packet.hpp"
#include "protocols/xenvif/packet.hpp"

namespace ringside::conformance {

/// A captured frame as a guest's network stack would hand it to its driver.
struct TrafficFrame {
  Bytes bytes;
  PacketLayout layout;
  bool blank_checksum = false;  ///< the stack left the checksum to the device
  xenvif::Gso gso;              ///< for what is over the MTU
  std::string unfit;            ///< why it can't be sent at all; empty: it can
};

/// Reads from the capture what each frame needs: a partial checksum travels blank, a TCP
/// frame over the MTU travels as GSO with the MSS of its connection (the peer's SYN option,
/// or what the MTU leaves).
std::vector<TrafficFrame> shape_traffic(std::span<const CapturedFrame> frames, uint16_t mtu);

/// A frame that the other side must receive.
struct ExpectedFrame {
  Bytes bytes;
  PacketLayout layout;
  bool may_be_blank = false;
  xenvif::Gso gso;
  size_t source = 0;  ///< index of the captured frame
};

/// What one sent frame must arrive as: itself, or its segments when the sender's back end
/// takes no GSO of its kind.
std::vector<ExpectedFrame> expect(const TrafficFrame& frame, size_t index, bool gso_carried);

/// A frame as the other side received it.
struct ReceivedFrame {
  Bytes bytes;
  xenvif::Checksum checksum = xenvif::Checksum::kUnknown;
  xenvif::Gso gso;
};

/// Empty when `received` is `expected`, byte for byte but for a checksum that either side
/// may complete and padding to the Ethernet minimum; else what differs.
std::string difference(const ExpectedFrame& expected, const ReceivedFrame& received);

}  // namespace ringside::conformance
