#include "sim/xenstore/tree.hpp"

#include <algorithm>
#include <utility>

namespace ringside::sim::xenstore {

namespace {

/// Takes the first name off the front of `rest`, which has no leading slash.
std::string_view first_name(std::string_view& rest) {
  const size_t slash = rest.find('/');
  const std::string_view name = rest.substr(0, slash);
  rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  return name;
}

std::string_view below_root(std::string_view path) { return path.substr(1); }

}  // namespace

std::string_view parent_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : path.substr(0, slash);
}

std::string_view leaf_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool is_at_or_below(std::string_view path, std::string_view ancestor) {
  if (ancestor == "/") return path.starts_with('/');
  return path.starts_with(ancestor) &&
         (path.size() == ancestor.size() || path[ancestor.size()] == '/');
}

Tree::Tree() {
  auto root = std::make_shared<Node>();
  root->permissions = {{0, 0}};
  root->generation = ++generation_;
  root_ = std::move(root);
  owned_[0] = 1;
}

const Node* Tree::find(std::string_view path) const {
  const Node* node = root_.get();
  std::string_view rest = below_root(path);
  while (!rest.empty()) {
    const auto child = node->children.find(first_name(rest));
    if (child == node->children.end()) return nullptr;
    node = child->second.get();
  }
  return node;
}

template <typename Edit>
Tree::NodePtr Tree::rebuilt(const NodePtr& node, std::string_view rest, Edit&& edit) {
  auto copy = std::make_shared<Node>(*node);
  if (rest.empty()) {
    edit(*copy);
    copy->generation = ++generation_;
  } else {
    auto& child = copy->children.find(first_name(rest))->second;
    child = rebuilt(child, rest, edit);
  }
  return copy;
}

template <typename Edit>
void Tree::change(std::string_view path, Edit&& edit) {
  root_ = rebuilt(root_, below_root(path), edit);
}

void Tree::create(std::string_view path, DomainId creator) {
  const std::string_view parent = parent_of(path);
  if (find(parent) == nullptr) create(parent, creator);
  auto node = std::make_shared<Node>();
  node->permissions = find(parent)->permissions;
  if (creator != 0) node->permissions.front().domain = creator;
  node->generation = ++generation_;
  ++owned_[node->permissions.front().domain];
  change(parent, [&](Node& above) { above.children.emplace(leaf_of(path), std::move(node)); });
}

void Tree::set_value(std::string_view path, std::string_view value) {
  change(path, [&](Node& node) { node.value = value; });
}

void Tree::set_permissions(std::string_view path, Permissions permissions) {
  change(path, [&](Node& node) {
    --owned_[node.permissions.front().domain];
    ++owned_[permissions.front().domain];
    node.permissions = std::move(permissions);
  });
}

void Tree::disown(const Node& node) {
  --owned_[node.permissions.front().domain];
  for (const auto& [name, child] : node.children) disown(*child);
}

void Tree::remove(std::string_view path) {
  disown(*find(path));
  change(parent_of(path), [&](Node& above) { above.children.erase(std::string(leaf_of(path))); });
}

Tree::NodePtr Tree::without(const NodePtr& node, DomainId domain) {
  auto copy = std::make_shared<Node>(*node);
  Permissions& permissions = copy->permissions;
  if (permissions.front().domain == domain) permissions.front().domain = 0;
  permissions.erase(std::remove_if(permissions.begin() + 1, permissions.end(),
                                   [&](const Permission& p) { return p.domain == domain; }),
                    permissions.end());
  if (permissions != node->permissions) copy->generation = ++generation_;
  for (auto& [name, child] : copy->children) child = without(child, domain);
  return copy;
}

void Tree::forget(DomainId domain) {
  root_ = without(root_, domain);
  owned_[0] += owned_by(domain);
  owned_.erase(domain);
}

void Tree::collect_owned_by(DomainId domain, const Node& node, const std::string& path,
                            std::vector<std::string>& found) {
  for (const auto& [name, child] : node.children) {
    const std::string below = path + "/" + name;
    if (child->permissions.front().domain == domain) {
      found.push_back(below);
    } else {
      collect_owned_by(domain, *child, below, found);
    }
  }
}

std::vector<std::string> Tree::topmost_owned_by(DomainId domain) const {
  std::vector<std::string> found;
  if (owned_by(domain) != 0) collect_owned_by(domain, *root_, "", found);
  return found;
}

size_t Tree::owned_by(DomainId domain) const {
  const auto found = owned_.find(domain);
  return found == owned_.end() ? 0 : found->second;
}

}  // namespace ringside::sim::xenstore
