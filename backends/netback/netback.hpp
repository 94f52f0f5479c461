#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "backends/netback/port.hpp"
#include "backends/netback/profile.hpp"

namespace ringside::backends {

/// Counters of one vif, over all its connections.
struct NetbackStatistics {
  uint64_t guest_packets = 0;  ///< sent by the guest and given to the port
  uint64_t guest_errors = 0;   ///< answered with NETIF_RSP_ERROR
  uint64_t port_packets = 0;   ///< given to the guest
  uint64_t port_dropped = 0;   ///< for the guest, but it can not carry them or is not there
  uint64_t filtered = 0;       ///< multicast that the guest did not ask for
  uint64_t violations = 0;     ///< connections ended because the guest broke the protocol
  uint64_t connections = 0;
};

/// The reference netback: every vif under one backend directory of xenstore.
///
/// Written against the C API of libxengnttab, libxenevtchn and libxenstore alone, so the
/// same object serves simulated guests and, in a real dom0, real ones. Single-threaded: its
/// actor (or main loop) calls service() whenever one of its handles has something.
class Netback {
 public:
  /// Whom a new vif is connected to; nullptr leaves it without a network (all dropped).
  using PortFinder = std::function<Port*(uint16_t domain, unsigned handle)>;

  /// `directory` is the backend directory, such as "/local/domain/0/backend/vif". Opens the
  /// three handles in the caller's domain; nullptr when one can not be had.
  /// `wake` makes the owner call service() soon.
  static std::unique_ptr<Netback> create(std::string directory, NetbackProfile profile,
                                         PortFinder find_port, std::function<void()> wake);
  virtual ~Netback() = default;

  /// Does everything there is to do: watch events, channel events, ports. Never blocks.
  virtual void service() = 0;
  /// For a main loop to poll; a loop over the real /dev/xen/evtchn must ask for it once, as
  /// this also keeps service() from waiting for events.
  virtual int events_file() = 0;
  virtual int store_file() = 0;
  virtual NetbackStatistics statistics(uint16_t domain, unsigned handle) const = 0;
  /// True when this vif is Connected.
  virtual bool connected(uint16_t domain, unsigned handle) const = 0;
};

}  // namespace ringside::backends
