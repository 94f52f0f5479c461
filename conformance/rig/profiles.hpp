#pragma once

#include <string_view>

#include "backends/blkback/profile.hpp"
#include "backends/netback/profile.hpp"

namespace ringside::conformance {

/// The profile of that name. "reference", and a name that only the other kind of back end
/// knows, stand for the first of each list.
backends::NetbackProfile net_profile(std::string_view name);
backends::BlkbackProfile blk_profile(std::string_view name);

enum class ProfileKind { kAny, kNet, kBlk };

/// Throws Problem, naming the known ones, when no back end of that kind has this profile.
void require_profile(std::string_view name, ProfileKind kind = ProfileKind::kAny);

}  // namespace ringside::conformance
