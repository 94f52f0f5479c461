#include "conformance/rig/vbd_device.hpp"

#include <utility>

#include "conformance/rig/profiles.hpp"

namespace ringside::conformance {

backends::BlkbackProfile chosen_blkback_profile() { return blk_profile(options().backend); }

std::unique_ptr<BlkbackActor> start_blkback(Host& host, backends::Blkback::Config config) {
  if (!config.choose && host.world().is_deterministic()) {
    config.choose = [random = host.world().random().fork()](uint64_t bound) mutable {
      return random.below(bound);
    };
  }
  return std::make_unique<BlkbackActor>(host, "blkback",
                                        [config = std::move(config)](BlkbackActor::Wake wake) {
                                          return backends::Blkback::create(config, std::move(wake));
                                        });
}

}  // namespace ringside::conformance
