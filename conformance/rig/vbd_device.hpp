#pragma once

#include <memory>

#include "backends/blkback/blkback.hpp"
#include "conformance/rig/backend_actor.hpp"
#include "conformance/rig/front_end.hpp"
#include "protocols/xenvbd/vbd.hpp"

namespace ringside::conformance {

using BlkbackActor = BackendActor<backends::Blkback>;

/// The blkback profile that --backend chose; the reference one when the name is not of a
/// blkback.
backends::BlkbackProfile chosen_blkback_profile();

/// A blkback in dom0 for every vbd of the host. In a deterministic world the order of its
/// answers comes from the seed unless `config` chooses.
std::unique_ptr<BlkbackActor> start_blkback(Host& host, backends::Blkback::Config config);

/// One disk of a guest: attached by the toolstack, driven by XENVBD.
class VbdDevice : public FrontEnd<xenvbd::Vbd, xenvbd::Client> {
 public:
  VbdDevice(DriverGuest& guest, xenvbd::Client& client, const sim::VbdConfig& config = {})
      : FrontEnd(guest, client, guest.host().toolstack().attach_vbd(guest.domid(), config), "vbd",
                 config.vdev) {}
  xenvbd::Vbd& vbd() { return **this; }
};

}  // namespace ringside::conformance
