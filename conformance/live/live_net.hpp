#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/netback/tap_port.hpp"
#include "conformance/live/guest_tap.hpp"
#include "conformance/live/net_interface.hpp"
#include "conformance/live/net_namespace.hpp"
#include "conformance/replay/net_recorder.hpp"
#include "conformance/rig/vif_device.hpp"

namespace ringside::conformance {

struct LiveNetConfig {
  std::string backend = "reference";
  unsigned mtu = xenvif::kDefaultMtu;
  unsigned queues = 1;  ///< of the front end; the back end may offer fewer
  std::string record;   ///< a pcapng file to write; empty for none
};

/// What went through a live network.
struct LiveNetReport {
  TapLane::Counters guest;
  backends::TapPort::Counters peer;
  std::vector<xenvif::TxStatistics> transmitted;  ///< by queue
  std::vector<xenvif::RxStatistics> received;
  double seconds = 0;
  uint64_t recorded = 0;
  std::vector<std::string> findings;  ///< left behind in the host
};

/// Two network namespaces with all of netif between them, in real time: the stack of the one sits
/// on a TAP interface in place of a guest's, whose vif leads through rings and netback to a TAP
/// interface in the other.
class LiveNet {
 public:
  static constexpr const char* kGuestInterface = "eth0";
  static constexpr const char* kPeerInterface = "vif1.0";  ///< as dom0 would call it
  static constexpr unsigned kSmallestMtu = 1280;           ///< that IPv6 allows
  static constexpr unsigned kLargestMtu = XEN_NETIF_MAX_TX_SIZE - 14 - 2 * 4;
  static constexpr unsigned kMostQueues = 8;

  /// Frames flow when it returns. Throws Problem. After prepare_for_namespaces().
  explicit LiveNet(const LiveNetConfig& config);
  ~LiveNet();
  LiveNet(const LiveNet&) = delete;
  LiveNet& operator=(const LiveNet&) = delete;

  const NetNamespace& guest_namespace() const { return guest_namespace_; }
  const NetNamespace& peer_namespace() const { return peer_namespace_; }
  /// From the documentation's own ranges (RFC 5737, RFC 3849): in nobody's way.
  static InterfaceConfig guest_addresses() { return {.ipv4 = "192.0.2.2", .ipv6 = "2001:db8::2"}; }
  static InterfaceConfig peer_addresses() { return {.ipv4 = "192.0.2.1", .ipv6 = "2001:db8::1"}; }
  unsigned queues() { return vif_->vif().queue_count(); }
  Host& host() { return *host_; }

  /// Takes it all down. Once.
  LiveNetReport close();

 private:
  void start_host();
  void connect();
  void wire_up();

  LiveNetConfig config_;
  NetNamespace guest_namespace_;
  NetNamespace peer_namespace_;
  std::unique_ptr<NetRecorder> recorder_;
  std::unique_ptr<backends::Poller> poller_;
  std::unique_ptr<Host> host_;
  std::unique_ptr<backends::TapPort> port_;
  std::unique_ptr<NetbackActor> netback_;
  std::unique_ptr<DriverGuest> guest_;
  std::unique_ptr<GuestTap> tap_;
  std::unique_ptr<VifDevice> vif_;
  sim::Nanoseconds started_ = 0;
};

}  // namespace ringside::conformance
