#include "conformance/rig/profiles.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "conformance/report/outcome.hpp"

namespace ringside::conformance {
namespace {

constexpr std::string_view kReference = "reference";

template <typename Profiles>
void add_names(const Profiles& profiles, std::vector<std::string_view>& names) {
  for (const auto& profile : profiles) {
    if (std::find(names.begin(), names.end(), profile.name) == names.end()) {
      names.push_back(profile.name);
    }
  }
}

}  // namespace

backends::NetbackProfile net_profile(std::string_view name) {
  return backends::find_netback_profile(name).value_or(backends::netback_profiles().front());
}

backends::BlkbackProfile blk_profile(std::string_view name) {
  return backends::find_blkback_profile(name).value_or(backends::blkback_profiles().front());
}

void require_profile(std::string_view name, ProfileKind kind) {
  std::vector<std::string_view> names{kReference};
  if (kind != ProfileKind::kBlk) add_names(backends::netback_profiles(), names);
  if (kind != ProfileKind::kNet) add_names(backends::blkback_profiles(), names);
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  const char* of = kind == ProfileKind::kNet ? "net " : kind == ProfileKind::kBlk ? "block " : "";
  throw Problem(fmt::format("there is no {}back-end profile \"{}\"; choose one of: {}", of, name,
                            fmt::join(names, ", ")));
}

}  // namespace ringside::conformance
