#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "protocols/platform/platform.hpp"
#include "protocols/xennet/statistics.hpp"
#include "protocols/xenvif/hash_settings.hpp"

namespace ringside::xennet {

// What a packet filter lets through. Source: ntddndis.h, NDIS_PACKET_TYPE_*.
inline constexpr uint32_t kFilterDirected = 0x01;
inline constexpr uint32_t kFilterMulticast = 0x02;
inline constexpr uint32_t kFilterAllMulticast = 0x04;
inline constexpr uint32_t kFilterBroadcast = 0x08;
inline constexpr uint32_t kFilterPromiscuous = 0x20;
inline constexpr uint32_t kFilters = kFilterDirected | kFilterMulticast | kFilterAllMulticast |
                                     kFilterBroadcast | kFilterPromiscuous;

// The two directions of an offload, as the keywords of an INF number them.
inline constexpr uint8_t kOffloadSend = 1;
inline constexpr uint8_t kOffloadReceive = 2;

/// Work that the stack leaves to the miniport, or has done by it.
struct Offloads {
  uint8_t ip_v4 = 3;  ///< IPv4 header checksums: kOffloadSend, kOffloadReceive
  uint8_t tcp_v4 = 3;
  uint8_t udp_v4 = 3;
  uint8_t tcp_v6 = 3;
  uint8_t udp_v6 = 3;
  bool large_send_v4 = true;
  bool large_send_v6 = true;
  bool coalesce_v4 = true;  ///< received large packets go up whole (RSC)
  bool coalesce_v6 = true;

  bool operator==(const Offloads&) const = default;
};

/// How received packets are hashed and spread over CPUs. Source: OID_GEN_RECEIVE_*.
struct ReceiveScaling {
  static constexpr size_t kKey = 40;
  static constexpr size_t kTable = 128;

  uint32_t hash_types = 0;  ///< kHash*; 0: no hash
  bool spread = false;      ///< by the table; else all on the queue's CPU
  uint16_t key_size = 0;
  uint16_t table_size = 0;  ///< a power of two
  std::array<std::byte, kKey> key{};
  std::array<uint8_t, kTable> table{};  ///< CPU numbers
};

/// All that the protocol above and the administrator may set.
struct Configuration {
  static constexpr size_t kMaxMulticast = 32;

  MacAddress mac{};
  uint32_t filter = 0;
  std::array<MacAddress, kMaxMulticast> multicast{};
  size_t multicast_count = 0;
  Offloads offloads;
  ReceiveScaling scaling;
  bool fill_checksums = true;   ///< NeedChecksumValue
  bool vlan = true;             ///< *PriorityVLANTag: tags go out of band
  bool scaling_allowed = true;  ///< *RSS

  /// Whether the packet filter wants a frame for `destination`. [XENNET-011]
  bool wants(Cast cast, const MacAddress& destination) const;
  bool wants_all_multicast() const {
    return (filter & (kFilterPromiscuous | kFilterAllMulticast)) != 0;
  }
};

/// The same for XENVIF, which has the back end do it where it can. A queue belongs to a CPU.
xenvif::HashConfig hash_config(const ReceiveScaling& scaling);

/// The keywords of the driver's registry key. [XENNET-016]
Configuration read_configuration(platform::Platform& platform);

/// An address as administrators write it: 12 hexadecimal digits, with or without separators.
/// Nothing when it is no address that a station can have. [XENNET-017]
std::optional<MacAddress> parse_network_address(std::string_view text);

}  // namespace ringside::xennet
