// The header's own Toeplitz hash, to compare with.
#define XEN_NETIF_DEFINE_TOEPLITZ

#include "protocols/xenvif/hash.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "protocols/platform/xen.hpp"

namespace ringside::conformance {
namespace {

using namespace xenvif;

/// The secret key of the RSS specification's verification suite.
constexpr std::array<uint8_t, 40> kKey{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                       0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                       0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                       0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

Toeplitz with_key(std::span<const uint8_t> key) {
  Toeplitz toeplitz;
  toeplitz.set_key(std::as_bytes(key));
  return toeplitz;
}

struct Vector {
  const char* destination;
  uint16_t destination_port;
  const char* source;
  uint16_t source_port;
  uint32_t addresses;
  uint32_t with_ports;
};
/// Source: the RSS specification, "Verifying the RSS Hash Calculation".
constexpr Vector kVectors[] = {
    {"161.142.100.80", 1766, "66.9.149.187", 2794, 0x323e8fc2, 0x51ccc178},
    {"65.69.140.83", 4739, "199.92.111.2", 14230, 0xd718262a, 0xc626b0ea},
    {"12.22.207.184", 38024, "24.19.198.95", 12898, 0xd2d0a5de, 0x5c2b394a},
    {"209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xafc7327f},
    {"202.188.127.2", 1303, "153.39.163.191", 44251, 0x5d1809c5, 0x10e828a2},
    {"3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2cc18cd5, 0x40207d3d},
    {"ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0f0c461c, 0xdde51bbf},
    {"fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x4b61e985,
     0x02d1feef},
};

/// An Ethernet frame with `protocol` between the vector's ends.
std::vector<std::byte> frame_of(const Vector& vector, uint8_t protocol, unsigned tags = 0,
                                bool fragment = false) {
  const bool v4 = std::string(vector.source).find(':') == std::string::npos;
  const size_t network = 14 + 4 * size_t{tags};
  const size_t transport = network + (v4 ? 20 : 40);
  std::vector<std::byte> frame(transport + 20);
  for (unsigned i = 0; i < tags; ++i) write_be16(&frame[12 + 4 * i], 0x8100);
  write_be16(&frame[network - 2], v4 ? 0x0800 : 0x86dd);
  frame[network] = std::byte{v4 ? uint8_t{0x45} : uint8_t{0x60}};
  frame[network + (v4 ? 9 : 6)] = std::byte{protocol};
  if (fragment) write_be16(&frame[network + 6], 0x2000);
  const int family = v4 ? AF_INET : AF_INET6;
  EXPECT_EQ(inet_pton(family, vector.source, &frame[network + (v4 ? 12 : 8)]), 1);
  EXPECT_EQ(inet_pton(family, vector.destination, &frame[network + (v4 ? 16 : 24)]), 1);
  write_be16(&frame[transport], vector.source_port);
  write_be16(&frame[transport + 2], vector.destination_port);
  frame[transport + 12] = std::byte{0x50};
  return frame;
}

PacketHash hash_of(const std::vector<std::byte>& frame, HashTypes types = kAllHashTypes) {
  return hash_packet(frame, parse_headers(frame), types, with_key(kKey));
}

TEST(HashTest, NETIF_CTL_030_ThePublishedVectorsComeOut) {
  for (const Vector& vector : kVectors) {
    EXPECT_EQ(hash_of(frame_of(vector, kProtocolTcp)).value, vector.with_ports) << vector.source;
    EXPECT_EQ(hash_of(frame_of(vector, kProtocolUdp)).value, vector.addresses) << vector.source;
  }
}

TEST(HashTest, NETIF_CTL_030_AShorterKeyIsPaddedWithZeros) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<uint8_t> key(random() % (Toeplitz::kMaxKey + 1));
    std::vector<uint8_t> input(random() % (Toeplitz::kMaxInput + 1));
    for (uint8_t& octet : key) octet = static_cast<uint8_t>(random());
    for (uint8_t& octet : input) octet = static_cast<uint8_t>(random());
    EXPECT_EQ(with_key(key).hash(std::as_bytes(std::span(input))),
              xen_netif_toeplitz_hash(key.data(), static_cast<unsigned>(key.size()), input.data(),
                                      static_cast<unsigned>(input.size())));
  }
}

TEST(HashTest, NETIF_CTL_031_TheLargestEnabledTypeIsTaken) {
  const auto tcp4 = frame_of(kVectors[0], kProtocolTcp);
  const auto tcp6 = frame_of(kVectors[5], kProtocolTcp);
  EXPECT_EQ(hash_of(tcp4).type, HashType::kTcpV4);
  EXPECT_EQ(hash_of(tcp6).type, HashType::kTcpV6);
  constexpr HashTypes kAddresses = XEN_NETIF_CTRL_HASH_TYPE_IPV4 | XEN_NETIF_CTRL_HASH_TYPE_IPV6;
  EXPECT_EQ(hash_of(tcp4, kAddresses), (PacketHash{HashType::kIpv4, kVectors[0].addresses}));
  EXPECT_EQ(hash_of(tcp6, kAddresses), (PacketHash{HashType::kIpv6, kVectors[5].addresses}));
  EXPECT_EQ(hash_of(tcp4, XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP), PacketHash{});
  EXPECT_EQ(hash_of(tcp4, 0), PacketHash{});
}

TEST(HashTest, NETIF_CTL_031_TagsAndFragmentsAreSeenThrough) {
  EXPECT_EQ(hash_of(frame_of(kVectors[0], kProtocolTcp, 2)).value, kVectors[0].with_ports);
  // A fragment has no ports that could be told from data.
  EXPECT_EQ(hash_of(frame_of(kVectors[0], kProtocolTcp, 0, true)),
            (PacketHash{HashType::kIpv4, kVectors[0].addresses}));
  EXPECT_EQ(hash_of(std::vector<std::byte>(60)), PacketHash{});
}

}  // namespace
}  // namespace ringside::conformance
