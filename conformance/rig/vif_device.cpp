#include "conformance/rig/vif_device.hpp"

#include <utility>

#include "conformance/rig/profiles.hpp"

namespace ringside::conformance {
namespace {

constexpr const char* kBackendDirectory = "/local/domain/0/backend/vif";

}  // namespace

backends::NetbackProfile chosen_netback_profile() { return net_profile(options().backend); }

std::unique_ptr<NetbackActor> start_netback(Host& host, backends::Netback::PortFinder find_port,
                                            const backends::NetbackProfile& profile) {
  return std::make_unique<NetbackActor>(
      host, "netback", [find_port = std::move(find_port), profile](NetbackActor::Wake wake) {
        return backends::Netback::create(kBackendDirectory, profile, find_port, std::move(wake));
      });
}

}  // namespace ringside::conformance
