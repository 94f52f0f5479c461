#include "protocols/xenvif/announcement.hpp"

#include "protocols/xenvif/checksum.hpp"
#include "protocols/xenvif/headers.hpp"

namespace ringside::xenvif {
namespace {

class Writer {
 public:
  explicit Writer(Announcement& to) : to_(to) {}

  template <size_t N>
  Writer& octets(const std::array<uint8_t, N>& octets) {
    for (const uint8_t octet : octets) to_.bytes[to_.length++] = std::byte{octet};
    return *this;
  }
  Writer& u8(unsigned value) { return octets<1>({static_cast<uint8_t>(value)}); }
  Writer& u16(unsigned value) { return u8(value >> 8).u8(value & 0xff); }
  Writer& u32(uint32_t value) { return u16(value >> 16).u16(value & 0xffff); }

 private:
  Announcement& to_;
};

constexpr MacAddress kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr MacAddress kUnknown{};
constexpr MacAddress kAllNodesMac{0x33, 0x33, 0, 0, 0, 1};
constexpr Ipv6Address kAllNodes{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

}  // namespace

Announcement announce(const MacAddress& mac, const Ipv4Address& address) {
  Announcement arp;
  Writer to(arp);
  to.octets(kBroadcast).octets(mac).u16(0x0806);
  to.u16(1).u16(0x0800).u8(6).u8(4).u16(1);  // Ethernet, IPv4, request
  to.octets(mac).octets(address).octets(kUnknown).octets(address);
  return arp;
}

Announcement announce(const MacAddress& mac, const Ipv6Address& address) {
  constexpr unsigned kPayload = 32;
  constexpr unsigned kIcmpv6 = 58;
  constexpr uint32_t kOverride = 1u << 29;
  constexpr size_t kTransport = kEthernetHeader + 40;
  Announcement advertisement;
  Writer to(advertisement);
  to.octets(kAllNodesMac).octets(mac).u16(0x86dd);
  to.u32(6u << 28).u16(kPayload).u8(kIcmpv6).u8(255).octets(address).octets(kAllNodes);
  to.u8(136).u8(0).u16(0).u32(kOverride).octets(address);
  to.u8(2).u8(1).octets(mac);  // target link-layer address, in units of 8 octets
  const std::span<std::byte> frame = std::span(advertisement.bytes).first(advertisement.length);
  ChecksumSum sum;
  sum.add(frame.subspan(kEthernetHeader + 8, 32));
  sum.add_word(kPayload);
  sum.add_word(kIcmpv6);
  sum.add(frame.subspan(kTransport));
  write_be16(&frame[kTransport + 2], finish_checksum(sum, kIcmpv6));
  return advertisement;
}

}  // namespace ringside::xenvif
