#include "protocols/xennet/configuration.hpp"

#include <algorithm>
#include <charconv>

#include "protocols/xennet/packet_info.hpp"

namespace ringside::xennet {
namespace {

constexpr uint32_t kBoth = kOffloadSend | kOffloadReceive;

bool flag(platform::Platform& platform, std::string_view name) {
  return platform.setting(name, 1) != 0;
}

uint8_t directions(platform::Platform& platform, std::string_view name) {
  const uint32_t value = platform.setting(name, kBoth);
  return static_cast<uint8_t>(value <= kBoth ? value : kBoth);
}

}  // namespace

bool Configuration::wants(Cast cast, const MacAddress& destination) const {
  if (filter & kFilterPromiscuous) return true;
  switch (cast) {
    case Cast::kDirected: return (filter & kFilterDirected) && destination == mac;
    case Cast::kBroadcast: return (filter & kFilterBroadcast) != 0;
    case Cast::kMulticast: break;
  }
  if (wants_all_multicast()) return true;
  if ((filter & kFilterMulticast) == 0) return false;
  for (size_t i = 0; i < multicast_count; ++i) {
    if (multicast[i] == destination) return true;
  }
  return false;
}

Configuration read_configuration(platform::Platform& platform) {
  Configuration read;
  read.offloads = {.ip_v4 = directions(platform, "*IPChecksumOffloadIPv4"),
                   .tcp_v4 = directions(platform, "*TCPChecksumOffloadIPv4"),
                   .udp_v4 = directions(platform, "*UDPChecksumOffloadIPv4"),
                   .tcp_v6 = directions(platform, "*TCPChecksumOffloadIPv6"),
                   .udp_v6 = directions(platform, "*UDPChecksumOffloadIPv6"),
                   .large_send_v4 = flag(platform, "*LSOV2IPv4"),
                   .large_send_v6 = flag(platform, "*LSOV2IPv6"),
                   .coalesce_v4 = flag(platform, "LROIPv4"),
                   .coalesce_v6 = flag(platform, "LROIPv6")};
  read.fill_checksums = flag(platform, "NeedChecksumValue");
  read.vlan = flag(platform, "*PriorityVLANTag");
  read.scaling_allowed = flag(platform, "*RSS");
  return read;
}

std::optional<MacAddress> parse_network_address(std::string_view text) {
  MacAddress parsed{};
  const bool separated = text.size() == 17;
  if (!separated && text.size() != 12) return {};
  for (size_t i = 0; i < parsed.size(); ++i) {
    const char* first = text.data() + i * (separated ? 3 : 2);
    const auto [end, error] = std::from_chars(first, first + 2, parsed[i], 16);
    if (error != std::errc{} || end != first + 2) return {};
    if (separated && i + 1 < parsed.size() && *end != '-' && *end != ':') return {};
  }
  if (parsed == MacAddress{} || cast_of(parsed) != Cast::kDirected) return {};
  return parsed;
}

xenvif::HashConfig hash_config(const ReceiveScaling& scaling) {
  xenvif::HashConfig config;
  for (unsigned bit = 0; bit < 4; ++bit) {
    const bool wanted = (scaling.hash_types & to_ndis(static_cast<xenvif::HashType>(bit))) != 0;
    if (wanted) config.types |= 1u << bit;
  }
  config.key = scaling.key;
  config.key_length = scaling.key_size;
  if (!scaling.spread) return config;
  config.mapping_size = scaling.table_size;
  std::copy_n(scaling.table.begin(), scaling.table_size, config.mapping.begin());
  return config;
}

}  // namespace ringside::xennet
