#pragma once

#include <array>
#include <cstdint>

#include "protocols/xenvif/packet.hpp"

namespace ringside::xenvif {

/// Counters of one transmitter; they survive a reconnect. [NETIF-CTL-046]
struct TxStatistics {
  uint64_t packets = 0;    ///< taken by transmit()
  uint64_t bytes = 0;      ///< in them
  uint64_t slots = 0;      ///< ring slots used, extras included
  uint64_t granted = 0;    ///< pages granted in place
  uint64_t copied = 0;     ///< packets whose payload was copied to the driver's own pages
  uint64_t segmented = 0;  ///< GSO packets cut up in software
  uint64_t segments = 0;   ///< frames that came of them
  uint64_t blocked = 0;    ///< transmit() answered kNoResources
  uint64_t held = 0;       ///< answered slots whose page the peer still mapped
  std::array<uint64_t, kTxStatusCount> by_status{};

  uint64_t count(TxStatus status) const { return by_status[static_cast<size_t>(status)]; }
};

/// Why a packet from the peer was not given to the client.
enum class RxDrop : uint8_t {
  kPeerError,     ///< negative status in one of its slots [NETIF-RX-023]
  kBadRange,      ///< offset + size leaves the page
  kTooLong,       ///< more slots or bytes than a packet may have
  kBadExtra,      ///< extra info in the wrong place, or a GSO extra that makes no sense
  kUnknownExtra,  ///< an extra type that netif.h does not know [NETIF-RX-049]
  kRunt,          ///< fewer bytes than an Ethernet header
  kNoMemory,      ///< the peer held on to a page and there was none to copy it to
  kDisconnected,  ///< the connection ended in the middle of it
};
inline constexpr size_t kRxDropCount = 8;

/// Counters of one receiver; they survive a reconnect.
struct RxStatistics {
  uint64_t packets = 0;
  uint64_t bytes = 0;
  uint64_t slots = 0;
  uint64_t held = 0;     ///< pages the peer still mapped after it had answered
  uint64_t starved = 0;  ///< refills cut short because the client had all pages
  std::array<uint64_t, kRxDropCount> dropped{};

  uint64_t count(RxDrop reason) const { return dropped[static_cast<size_t>(reason)]; }
};

}  // namespace ringside::xenvif
