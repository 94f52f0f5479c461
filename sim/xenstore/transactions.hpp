#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/xenstore/tree.hpp"

namespace ringside::sim::xenstore {

/// One change of the tree, in the order made; also what watches are told of.
struct Change {
  enum class Kind : uint8_t { kCreate, kValue, kPermissions, kRemove };
  Kind kind = Kind::kValue;
  std::string path;
  std::string value;
  Permissions permissions;
  DomainId creator = 0;
};

/// Makes the change on `tree`.
void apply(Tree& tree, const Change& change);

/// A client's private view of the tree as it was when the transaction began.
class Transaction {
 public:
  explicit Transaction(const Tree& now) : base_(now), working_(now) {}

  Tree& tree() { return working_; }
  const Tree& tree() const { return working_; }
  const std::vector<Change>& changes() const { return changes_; }

  /// The outcome depends on this node (or on its absence).
  void touch(std::string_view path) { touched_.emplace(path); }
  void add(Change change) { changes_.push_back(std::move(change)); }
  /// Nothing the transaction depends on differs between its start and `now`.
  bool can_commit(const Tree& now) const;

 private:
  Tree base_;
  Tree working_;
  std::set<std::string, std::less<>> touched_;
  std::vector<Change> changes_;
};

}  // namespace ringside::sim::xenstore
