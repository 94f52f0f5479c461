#pragma once

#include <memory>

#include "backends/netback/netback.hpp"
#include "conformance/rig/backend_actor.hpp"
#include "conformance/rig/front_end.hpp"
#include "protocols/xenvif/vif.hpp"

namespace ringside::conformance {

using NetbackActor = BackendActor<backends::Netback>;

/// The netback profile that --backend chose; the reference one when the name is not of a
/// netback.
backends::NetbackProfile chosen_netback_profile();

/// A netback in dom0 for every vif of the host. `find_port` says what each is wired to.
std::unique_ptr<NetbackActor> start_netback(
    Host& host, backends::Netback::PortFinder find_port,
    const backends::NetbackProfile& profile = chosen_netback_profile());

/// One network interface of a guest: attached by the toolstack, driven by XENVIF.
class VifDevice : public FrontEnd<xenvif::Vif, xenvif::Client> {
 public:
  VifDevice(DriverGuest& guest, xenvif::Client& client, const sim::VifConfig& config = {})
      : FrontEnd(guest, client, guest.host().toolstack().attach_vif(guest.domid(), config), "vif",
                 config.handle) {}
  xenvif::Vif& vif() { return **this; }
};

}  // namespace ringside::conformance
