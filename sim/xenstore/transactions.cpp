#include "sim/xenstore/transactions.hpp"

#include <algorithm>

namespace ringside::sim::xenstore {

void apply(Tree& tree, const Change& change) {
  switch (change.kind) {
    case Change::Kind::kCreate:
      tree.create(change.path, change.creator);
      if (!change.value.empty()) tree.set_value(change.path, change.value);
      break;
    case Change::Kind::kValue: tree.set_value(change.path, change.value); break;
    case Change::Kind::kPermissions: tree.set_permissions(change.path, change.permissions); break;
    case Change::Kind::kRemove: tree.remove(change.path); break;
  }
}

bool Transaction::can_commit(const Tree& now) const {
  const auto stamp = [](const Tree& tree, std::string_view path) -> uint64_t {
    const Node* node = tree.find(path);
    return node == nullptr ? 0 : node->generation;
  };
  return std::all_of(touched_.begin(), touched_.end(), [&](const std::string& path) {
    return stamp(base_, path) == stamp(now, path);
  });
}

}  // namespace ringside::sim::xenstore
