#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sim/xenstore/connection.hpp"
#include "sim/xenstore/tree.hpp"

namespace ringside::sim::xenstore {

/// XS_PERM_READ, XS_PERM_WRITE and XS_PERM_OWNER that the client has by these permissions.
unsigned access_of(const Connection& client, const Permissions& permissions);

/// 0 when the node exists and grants all of `mask`. ENOENT only when the client may know
/// that it is missing: the nearest existing ancestor grants some of `mask`; else EACCES.
int check_access(const Connection& client, const Tree& tree, std::string_view path, unsigned mask);

/// An absolute path of the legal characters and at most `longest` of them, not counting
/// /local/domain/<id>/. Source: xenstore.txt
bool is_valid_path(std::string_view path, size_t longest);

/// "/local/domain/<id>/" for relative paths, "" for absolute ones.
std::string base_of(const Connection& client, std::string_view path);

/// "b5", "r0", ...; nullopt unless the letter and the number are right.
std::optional<Permission> parse_permission(std::string_view text);
std::string to_string(const Permission& permission);

}  // namespace ringside::sim::xenstore
