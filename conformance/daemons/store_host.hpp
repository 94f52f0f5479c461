#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "conformance/daemons/store_peer.hpp"

namespace ringside::conformance {

/// A host whose store is under test: a daemon, its socket, and domains with a store page.
class StoreHost {
 public:
  virtual ~StoreHost() = default;

  /// "ringside", "xenstored" or "oxenstored".
  virtual const std::string& name() const = 0;
  virtual const std::string& socket() const = 0;
  /// Makes domain `domid`, counting up from 1, which the store has yet to hear of.
  virtual void create_domain(uint16_t domid) = 0;
  /// The frame and port that INTRODUCE names.
  virtual uint64_t store_frame(uint16_t domid) = 0;
  virtual uint32_t store_port(uint16_t domid) = 0;
  /// The domain's end of its ring; lives as long as the domain.
  virtual StoreRing& ring(uint16_t domid) = 0;
  /// The domain stops for good, but is there; then dom0 gets VIRQ_DOM_EXC.
  virtual void shut_down(uint16_t domid) = 0;
  /// Nothing is left of the domain; then dom0 gets VIRQ_DOM_EXC.
  virtual void destroy(uint16_t domid) = 0;
};

/// Thrown where a daemon is not installed; says which package has it.
class NotInstalled : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// This project's store on a simulated host with real threads.
std::unique_ptr<StoreHost> embedded_store_host();
/// "xenstored" or "oxenstored" of Debian's xen-utils over `shim`, the library of shim/shim.cpp.
/// Throws NotInstalled.
std::unique_ptr<StoreHost> real_store_host(const std::string& daemon, const std::string& shim);

}  // namespace ringside::conformance
