#pragma once

#include "protocols/xenvif/control_ring.hpp"
#include "protocols/xenvif/hash_settings.hpp"

namespace ringside::xenvif {

/// Has the back end hash as `config` says, over `queues` queues. kNotSupported when it has no such
/// hash; it then hashes nothing. [NETIF-CTL-032..036]
Status tell_hash(ControlRing& control, const HashConfig& config, unsigned queues);

/// Has the back end keep `refs` of a queue, which it may read, mapped for the life of the
/// connection: as many of the first ones as it has room for. [NETIF-CTL-037]
Status tell_static_grants(ControlRing& control, unsigned queue,
                          std::span<const xenbus::GrantRef> refs);

}  // namespace ringside::xenvif
