#include <xenstore_lib.h>

#include <cerrno>
#include <utility>

#include "sim/xenstore/request.hpp"

namespace ringside::sim::xenstore {

namespace {

/// The children's names, each with its NUL.
std::string names_of(const Node& node) {
  std::string names;
  for (const auto& [name, child] : node.children) names.append(name).push_back('\0');
  return names;
}

std::string payload_of(const Permissions& permissions) {
  std::string text;
  for (const Permission& permission : permissions) {
    text.append(to_string(permission)).push_back('\0');
  }
  return text;
}

}  // namespace

int Request::lone_path(std::string& path) const {
  const auto strings = strings_of(message_.payload);
  if (strings.size() != 1 || message_.payload.back() != '\0') return EINVAL;
  return resolve(strings[0], path);
}

int Request::check(std::string_view path, unsigned mask) {
  touch(path);
  return check_access(client_, tree(), path, mask);
}

int Request::directory() {
  std::string path;
  if (const int error = lone_path(path)) return error;
  if (const int error = check(path, XS_PERM_READ)) return error;
  answer_ = names_of(*tree().find(path));
  return answer_.size() > XENSTORE_PAYLOAD_MAX ? E2BIG : 0;
}

int Request::directory_part() {
  const auto strings = strings_of(message_.payload);
  if (strings.size() != 2) return EINVAL;
  const auto offset = number_of(strings[1]);
  if (!offset) return EINVAL;
  std::string path;
  if (const int error = resolve(strings[0], path)) return error;
  if (const int error = check(path, XS_PERM_READ)) return error;

  const Node& node = *tree().find(path);
  answer_ = std::to_string(node.generation) + '\0';
  const std::string names = names_of(node);
  if (*offset >= names.size()) {
    answer_.push_back('\0');
    return 0;
  }
  // Whole names only, and room for the empty one that says "no more".
  const size_t room = XENSTORE_PAYLOAD_MAX - answer_.size() - 1;
  size_t end = *offset;
  while (end < names.size()) {
    const size_t next = names.find('\0', end) + 1;
    if (next - *offset > room) break;
    end = next;
  }
  answer_.append(names, *offset, end - *offset);
  if (end == names.size()) answer_.push_back('\0');
  return 0;
}

int Request::read() {
  std::string path;
  if (const int error = lone_path(path)) return error;
  if (const int error = check(path, XS_PERM_READ)) return error;
  answer_ = tree().find(path)->value;
  return 0;
}

int Request::write() {
  const std::string_view payload = message_.payload;
  const size_t end = payload.find('\0');
  if (end == std::string_view::npos) return EINVAL;
  std::string path;
  if (const int error = resolve(payload.substr(0, end), path)) return error;
  const std::string_view value = payload.substr(end + 1);

  const int error = check(path, XS_PERM_WRITE);
  if (error == ENOENT) return create(std::move(path), std::string(value));
  if (error != 0) return error;
  const Node& node = *tree().find(path);
  if (exceeds_node_size(node.permissions.size(), value.size(), names_of(node).size())) {
    return ENOSPC;
  }
  make({Change::Kind::kValue, std::move(path), std::string(value), {}, 0});
  return 0;
}

int Request::mkdir() {
  std::string path;
  if (const int error = lone_path(path)) return error;
  const int error = check(path, XS_PERM_WRITE);
  return error == ENOENT ? create(std::move(path), {}) : error;
}

int Request::create(std::string path, std::string value) {
  Change change{Change::Kind::kCreate, std::move(path), std::move(value), {}, client_.domain()};
  Tree next = tree();
  apply(next, change);
  if (exceeds_node_quota(next) || new_nodes_exceed_size(next, change.path)) return ENOSPC;
  touch_for_creation(change.path);
  make(std::move(change));
  return 0;
}

/// A new node changes its nearest existing ancestor's set of children.
void Request::touch_for_creation(std::string_view path) {
  do {
    path = parent_of(path);
    touch(path);
  } while (tree().find(path) == nullptr);
}

bool Request::exceeds_node_quota(const Tree& next) const {
  const size_t owned = next.owned_by(client_.domain());
  return !unlimited() && owned > server_.quotas_.nodes &&
         owned > server_.tree_.owned_by(client_.domain());
}

bool Request::exceeds_node_size(size_t permissions, size_t value, size_t names) const {
  constexpr size_t kFixed = 24;
  constexpr size_t kPermission = 8;
  return !unlimited() &&
         kFixed + kPermission * permissions + value + names >= server_.quotas_.node_size;
}

/// The node, its new ancestors, and the old one that lists a new name.
bool Request::new_nodes_exceed_size(const Tree& next, std::string_view path) const {
  const Tree& now = transaction_ == nullptr ? server_.tree_ : transaction_->tree();
  for (;; path = parent_of(path)) {
    const Node& node = *next.find(path);
    if (exceeds_node_size(node.permissions.size(), node.value.size(), names_of(node).size())) {
      return true;
    }
    if (now.find(path) != nullptr) return false;
  }
}

int Request::remove() {
  std::string path;
  if (const int error = lone_path(path)) return error;
  const int error = check(path, XS_PERM_WRITE);
  const std::string_view parent = parent_of(path);
  if (error == ENOENT) {
    touch(parent);
    return tree().find(parent) != nullptr ? 0 : ENOENT;
  }
  if (error != 0) return error;
  if (path == "/") return EINVAL;
  touch(parent);
  touch_below(path, *tree().find(path));
  make({Change::Kind::kRemove, path, {}, {}, 0});
  return 0;
}

/// Whoever changes what a transaction removes is not to be overruled silently.
void Request::touch_below(const std::string& path, const Node& node) {
  if (transaction_ == nullptr) return;
  for (const auto& [name, child] : node.children) {
    const std::string below = path + "/" + name;
    touch(below);
    touch_below(below, *child);
  }
}

int Request::get_permissions() {
  const auto strings = strings_of(message_.payload);
  if (strings.size() == 1) {
    const auto special = server_.special_.find(strings[0]);
    if (special != server_.special_.end()) {
      if ((access_of(client_, special->second) & XS_PERM_READ) == 0) return EACCES;
      answer_ = payload_of(special->second);
      return 0;
    }
  }
  std::string path;
  if (const int error = lone_path(path)) return error;
  if (const int error = check(path, XS_PERM_READ)) return error;
  answer_ = payload_of(tree().find(path)->permissions);
  return 0;
}

int Request::set_permissions() {
  const auto strings = strings_of(message_.payload);
  if (strings.size() < 2) return EINVAL;
  Permissions permissions;
  for (size_t i = 1; i < strings.size(); ++i) {
    const auto permission = parse_permission(strings[i]);
    if (!permission) return EINVAL;
    permissions.push_back(*permission);
  }
  if (!unlimited() && permissions.size() > server_.quotas_.permissions_per_node) return ENOSPC;
  const DomainControl* domains = server_.control_;
  if (domains != nullptr && !domains->exists(permissions.front().domain)) return ENOENT;
  if (strings[0].starts_with('@')) return set_special_permissions(strings[0], permissions);

  std::string path;
  if (const int error = resolve(strings[0], path)) return error;
  if (const int error = check(path, XS_PERM_WRITE | XS_PERM_OWNER)) return error;
  const Node& node = *tree().find(path);
  const DomainId owner = node.permissions.front().domain;
  if (!client_.privileged() && permissions.front().domain != owner) return EPERM;
  if (exceeds_node_size(permissions.size(), node.value.size(), names_of(node).size())) {
    return ENOSPC;
  }
  make({Change::Kind::kPermissions, std::move(path), {}, std::move(permissions), 0});
  return 0;
}

int Request::set_special_permissions(std::string_view event, const Permissions& permissions) {
  const auto special = server_.special_.find(event);
  if (special == server_.special_.end()) return EINVAL;
  constexpr unsigned kNeeded = XS_PERM_WRITE | XS_PERM_OWNER;
  if ((access_of(client_, special->second) & kNeeded) != kNeeded) return EACCES;
  special->second = permissions;
  return 0;
}

void Request::make(Change change) {
  if (transaction_ != nullptr) {
    apply(transaction_->tree(), change);
    transaction_->add(std::move(change));
    return;
  }
  Tree before = server_.tree_;
  apply(server_.tree_, change);
  server_.record(change);
  told_.push_back({std::move(before), std::move(change), server_.tree_});
}

}  // namespace ringside::sim::xenstore
