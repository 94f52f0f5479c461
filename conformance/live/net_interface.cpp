#include "conformance/live/net_interface.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

/// One request to the kernel, put together attribute by attribute.
class Request {
 public:
  template <typename Body>
  Request(uint16_t type, uint16_t flags, const Body& body) {
    header_.nlmsg_type = type;
    header_.nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST | NLM_F_ACK);
    length_ = NLMSG_HDRLEN;
    append(std::as_bytes(std::span(&body, 1)));
  }

  void attribute(uint16_t type, std::span<const std::byte> value) {
    rtattr head{};
    head.rta_type = type;
    head.rta_len = static_cast<uint16_t>(RTA_LENGTH(value.size()));
    append(std::as_bytes(std::span(&head, 1)));
    append(value);
  }

  std::span<const std::byte> bytes() {
    header_.nlmsg_len = static_cast<uint32_t>(length_);
    std::memcpy(buffer_.data(), &header_, sizeof header_);
    return std::span(buffer_).first(length_);
  }

 private:
  void append(std::span<const std::byte> bytes) {
    std::memcpy(&buffer_[length_], bytes.data(), bytes.size());
    length_ += NLMSG_ALIGN(bytes.size());
  }

  nlmsghdr header_{};
  size_t length_ = 0;
  std::array<std::byte, 256> buffer_{};
};

class RouteSocket {
 public:
  RouteSocket() : file_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) {
    if (file_ < 0) throw Problem(fmt::format("no rtnetlink: {}", std::strerror(errno)));
  }
  ~RouteSocket() { close(file_); }
  RouteSocket(const RouteSocket&) = delete;
  RouteSocket& operator=(const RouteSocket&) = delete;

  /// Waits for the kernel's answer; `what` is what failed.
  void ask(Request request, const std::string& what) const {
    struct Answer {
      nlmsghdr header;
      nlmsgerr error;
      std::array<std::byte, 512> rest;  // the request once more
    } answer{};
    const auto bytes = request.bytes();
    int error = 0;
    if (send(file_, bytes.data(), bytes.size(), 0) < 0 ||
        recv(file_, &answer, sizeof answer, 0) < 0) {
      error = errno;
    } else if (answer.header.nlmsg_type == NLMSG_ERROR) {
      error = -answer.error.error;
    }
    if (error != 0) throw Problem(fmt::format("{}: {}", what, std::strerror(error)));
  }

 private:
  int file_;
};

template <int kFamily, typename Address>
void add_address(const RouteSocket& route, int index, const std::string& text, unsigned prefix) {
  Address address{};
  if (inet_pton(kFamily, text.c_str(), &address) != 1) throw Problem(text + " is no address");
  ifaddrmsg body{};
  body.ifa_family = kFamily;
  body.ifa_prefixlen = static_cast<uint8_t>(prefix);
  // Nobody else is there who could have the address: no time goes by over asking.
  body.ifa_flags = kFamily == AF_INET6 ? IFA_F_NODAD : 0;
  body.ifa_index = static_cast<uint32_t>(index);
  Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body);
  const auto bytes = std::as_bytes(std::span(&address, 1));
  request.attribute(IFA_LOCAL, bytes);
  request.attribute(IFA_ADDRESS, bytes);
  route.ask(request, "the address " + text);
}

}  // namespace

void bring_up(const std::string& name, const InterfaceConfig& config) {
  const auto index = static_cast<int>(if_nametoindex(name.c_str()));
  if (index == 0) throw Problem(fmt::format("interface {}: {}", name, std::strerror(errno)));
  const RouteSocket route;
  ifinfomsg link{};
  link.ifi_index = index;
  link.ifi_flags = IFF_UP;
  link.ifi_change = IFF_UP;
  Request request(RTM_NEWLINK, 0, link);
  if (config.mtu != 0) request.attribute(IFLA_MTU, std::as_bytes(std::span(&config.mtu, 1)));
  if (!config.mac.empty()) {
    const ether_addr* mac = ether_aton(config.mac.c_str());
    if (mac == nullptr) throw Problem(config.mac + " is no MAC address");
    request.attribute(IFLA_ADDRESS, std::as_bytes(std::span(mac, 1)));
  }
  route.ask(request, "interface " + name);
  if (!config.ipv4.empty()) {
    add_address<AF_INET, in_addr>(route, index, config.ipv4, config.ipv4_prefix);
  }
  if (!config.ipv6.empty()) {
    add_address<AF_INET6, in6_addr>(route, index, config.ipv6, config.ipv6_prefix);
  }
}

}  // namespace ringside::conformance
