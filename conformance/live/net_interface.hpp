#pragma once

#include <cstdint>
#include <string>

namespace ringside::conformance {

/// How an interface is set up; what is empty or 0 stays as it is.
struct InterfaceConfig {
  std::string mac{};  ///< "00:16:3e:00:00:01"
  uint32_t mtu = 0;   ///< bytes of an IP packet
  std::string ipv4{};
  unsigned ipv4_prefix = 24;
  std::string ipv6{};
  unsigned ipv6_prefix = 64;
};

/// Sets up an interface of the calling thread's network namespace, over rtnetlink, and brings it
/// up. Its addresses can be used at once. Throws Problem.
void bring_up(const std::string& name, const InterfaceConfig& config);

}  // namespace ringside::conformance
