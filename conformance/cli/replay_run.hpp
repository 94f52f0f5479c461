#pragma once

#include "conformance/replay/blk_replay.hpp"
#include "conformance/replay/net_replay.hpp"

namespace ringside::conformance {

/// What became of every frame or request, and how much was compared.
void print_net_account(const NetReplayReport& report);
void print_blk_account(const BlkReplayReport& report);

}  // namespace ringside::conformance
