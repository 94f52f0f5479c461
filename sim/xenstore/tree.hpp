#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ringside::sim::xenstore {

using DomainId = uint16_t;

/// What one domain may do; `access` is a mask of XS_PERM_READ and XS_PERM_WRITE.
struct Permission {
  DomainId domain = 0;
  unsigned access = 0;
  bool operator==(const Permission&) const = default;
};

/// The first entry names the owner and what all domains not named later may do.
using Permissions = std::vector<Permission>;

/// One node of the store. Never changed once it is in a tree: trees share nodes.
struct Node {
  std::string value;  ///< any bytes
  Permissions permissions;
  /// Stamp of the last change of the value, the permissions or the set of children.
  uint64_t generation = 0;
  std::map<std::string, std::shared_ptr<const Node>, std::less<>> children;
};

/// The parent of an absolute path; that of "/" is "/".
std::string_view parent_of(std::string_view path);
/// The last name of a path.
std::string_view leaf_of(std::string_view path);
/// `path` is `ancestor` or lies below it.
bool is_at_or_below(std::string_view path, std::string_view ancestor);

/// The nodes by absolute path, without any notion of who asks.
///
/// Copying is cheap and takes a snapshot: a change copies only the way from the root.
class Tree {
 public:
  /// Only the root, owned by dom0 and readable by none else.
  Tree();

  const Node* find(std::string_view path) const;

  /// Creates the node and its missing ancestors. New nodes inherit the permissions of their
  /// parent; the owner becomes `creator` unless that is dom0.
  void create(std::string_view path, DomainId creator);
  /// Preconditions: the node exists.
  void set_value(std::string_view path, std::string_view value);
  void set_permissions(std::string_view path, Permissions permissions);
  /// Removes the node and all below it. Precondition: it exists and is not the root.
  void remove(std::string_view path);
  /// Takes a dead domain out of all permissions. Precondition: it owns no node but the root,
  /// which goes to dom0.
  void forget(DomainId domain);
  /// The nodes that the domain owns below ancestors it does not; the root is never among them.
  std::vector<std::string> topmost_owned_by(DomainId domain) const;

  /// Nodes owned by the domain.
  size_t owned_by(DomainId domain) const;

 private:
  using NodePtr = std::shared_ptr<const Node>;

  template <typename Edit>
  NodePtr rebuilt(const NodePtr& node, std::string_view rest, Edit&& edit);
  template <typename Edit>
  void change(std::string_view path, Edit&& edit);
  void disown(const Node& node);
  static void collect_owned_by(DomainId domain, const Node& node, const std::string& path,
                               std::vector<std::string>& found);
  NodePtr without(const NodePtr& node, DomainId domain);

  NodePtr root_;
  uint64_t generation_ = 0;
  std::map<DomainId, size_t> owned_;
};

}  // namespace ringside::sim::xenstore
