#include <cerrno>
#include <string>
#include <utility>

#include "sim/xenstore/request.hpp"

namespace ringside::sim::xenstore {

namespace {

constexpr std::pair<std::string_view, size_t Quotas::*> kQuotas[] = {
    {"nodes", &Quotas::nodes},
    {"size", &Quotas::node_size},
    {"perms", &Quotas::permissions_per_node},
    {"watches", &Quotas::watches},
    {"transactions", &Quotas::transactions},
    {"outstanding", &Quotas::outstanding},
    {"path-max", &Quotas::path_length},
};

constexpr std::string_view kHelp =
    "check\nhelp\nprint <string>\nquota [set <name> <val>|<domid>]\n";

}  // namespace

/// The commands which make sense without a daemon's process. Source: xenstore.txt, CONTROL
int Request::control() {
  const auto words = strings_of(message_.payload);
  if (words.empty()) return EINVAL;
  if (words[0] == "check") return words.size() == 1 ? 0 : EINVAL;
  if (words[0] == "help") {
    if (words.size() != 1) return EINVAL;
    answer_ = std::string(kHelp) + '\0';
    return 0;
  }
  if (words[0] == "print") return words.size() == 2 ? 0 : EINVAL;
  if (words[0] == "quota") return control_quota(words);
  return EINVAL;
}

int Request::control_quota(const std::vector<std::string_view>& words) {
  if (words.size() == 1) {
    answer_.clear();
    for (const auto& [name, quota] : kQuotas) {
      answer_.append(name).append(": ").append(std::to_string(server_.quotas_.*quota)) += '\n';
    }
    answer_ += '\0';
    return 0;
  }
  if (words.size() == 2) {
    const auto domain = number_of(words[1]);
    if (!domain || *domain >= DOMID_FIRST_RESERVED) return EINVAL;
    const auto id = static_cast<DomainId>(*domain);
    if (id != 0 && !server_.introduced_.contains(id)) return ENOENT;
    answer_ = "nodes: " + std::to_string(server_.tree_.owned_by(id)) + '\n' + '\0';
    return 0;
  }
  if (words.size() != 4 || words[1] != "set") return EINVAL;
  const auto value = number_of(words[3]);
  for (const auto& [name, quota] : kQuotas) {
    if (name != words[2] || !value) continue;
    server_.quotas_.*quota = *value;
    return 0;
  }
  return EINVAL;
}

}  // namespace ringside::sim::xenstore
