#include "sim/xenstore/access.hpp"

#include <xenstore_lib.h>

#include <cerrno>
#include <charconv>

namespace ringside::sim::xenstore {

namespace {

constexpr unsigned kEverything = XS_PERM_READ | XS_PERM_WRITE | XS_PERM_OWNER;

constexpr std::string_view kLegalCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/_@";

/// The length of "/local/domain/<number>/" when the path starts so, else 0.
size_t domain_prefix(std::string_view path) {
  constexpr std::string_view kHome = "/local/domain/";
  if (!path.starts_with(kHome)) return 0;
  const size_t end = path.find_first_not_of("0123456789", kHome.size());
  const bool is_home = end != std::string_view::npos && end > kHome.size() && path[end] == '/';
  return is_home ? end + 1 : 0;
}

}  // namespace

unsigned access_of(const Connection& client, const Permissions& permissions) {
  const auto is_client = [&](DomainId domain) {
    return domain == client.domain() || client.target() == domain;
  };
  if (client.privileged() || is_client(permissions.front().domain)) return kEverything;
  for (size_t i = 1; i < permissions.size(); ++i) {
    if (is_client(permissions[i].domain)) return permissions[i].access;
  }
  return permissions.front().access;
}

int check_access(const Connection& client, const Tree& tree, std::string_view path, unsigned mask) {
  const Node* node = tree.find(path);
  if (node != nullptr) {
    return (access_of(client, node->permissions) & mask) == mask ? 0 : EACCES;
  }
  while (node == nullptr) {
    path = parent_of(path);
    node = tree.find(path);
  }
  return (access_of(client, node->permissions) & mask) != 0 ? ENOENT : EACCES;
}

bool is_valid_path(std::string_view path, size_t longest) {
  if (!path.starts_with('/') || path.size() > XENSTORE_ABS_PATH_MAX) return false;
  if (path.size() > domain_prefix(path) + longest) return false;
  if (path.find_first_not_of(kLegalCharacters) != std::string_view::npos) return false;
  return path == "/" || (!path.ends_with('/') && path.find("//") == std::string_view::npos);
}

std::string base_of(const Connection& client, std::string_view path) {
  if (path.starts_with('/') || path.starts_with('@')) return {};
  return "/local/domain/" + std::to_string(client.domain()) + "/";
}

std::optional<Permission> parse_permission(std::string_view text) {
  if (text.empty()) return std::nullopt;
  Permission permission;
  switch (text.front()) {
    case 'n': permission.access = XS_PERM_NONE; break;
    case 'r': permission.access = XS_PERM_READ; break;
    case 'w': permission.access = XS_PERM_WRITE; break;
    case 'b': permission.access = XS_PERM_READ | XS_PERM_WRITE; break;
    default: return std::nullopt;
  }
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + 1, end, permission.domain);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return permission;
}

std::string to_string(const Permission& permission) {
  constexpr std::string_view kLetters = "nrwb";
  return kLetters[permission.access & 3] + std::to_string(permission.domain);
}

}  // namespace ringside::sim::xenstore
