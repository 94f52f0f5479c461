#pragma once

#include <cstdint>
#include <memory>

#include "backends/netback/profile.hpp"
#include "backends/netback/static_grants.hpp"
#include "backends/netback/steering.hpp"
#include "backends/xenbus/handles.hpp"
#include "protocols/platform/xen.hpp"
#include "protocols/ring/back_ring.hpp"

namespace ringside::backends {

/// One vif's control ring, the back end's side: each request gets one answer.
///
/// Limits and errors are those of Linux' xen-netback. Source: xen/io/netif.h, "Control messages".
class Control {
 public:
  /// Maps the ring and binds the channel; nullptr when the guest's keys do not work.
  /// `steering` and `grants`, one for each queue, must outlive it.
  static std::unique_ptr<Control> connect(Handles& handles, uint16_t domain, uint32_t ref,
                                          uint32_t port, const NetbackProfile& profile,
                                          Steering& steering, std::span<StaticGrants> grants);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// Notes that `port` (ours) had an event; false when it is another's.
  bool event(evtchn_port_t port);
  /// Answers what was asked. False: the ring makes no sense.
  bool serve();

 private:
  using Ring = ring::BackRing<xen_netif_ctrl_request, xen_netif_ctrl_response>;
  static constexpr uint32_t kMaxKey = xenvif::Toeplitz::kMaxKey;
  static constexpr uint32_t kMaxMapping = 128;
  struct Answer {
    uint32_t status = XEN_NETIF_CTRL_STATUS_SUCCESS;
    uint32_t data = 0;
  };

  Control(Handles& handles, uint16_t domain, const NetbackProfile& profile, Steering& steering,
          std::span<StaticGrants> grants)
      : handles_(handles),
        domain_(domain),
        profile_(profile),
        steering_(steering),
        grants_(grants) {}

  bool attach(uint32_t ref, uint32_t port);
  Answer carry_out(const xen_netif_ctrl_request& request);
  Answer set_algorithm(uint32_t algorithm);
  Answer set_types(uint32_t types);
  Answer set_key(uint32_t ref, uint32_t length);
  Answer set_mapping_size(uint32_t entries);
  Answer set_mapping(uint32_t ref, uint32_t entries, uint32_t offset);
  Answer static_grants(const xen_netif_ctrl_request& request);
  bool fetch(uint32_t ref, void* to, size_t bytes);

  Handles& handles_;
  uint16_t domain_;
  const NetbackProfile& profile_;
  Steering& steering_;
  std::span<StaticGrants> grants_;
  void* page_ = nullptr;
  Ring ring_;
  int port_ = -1;
  bool due_ = true;
};

}  // namespace ringside::backends
