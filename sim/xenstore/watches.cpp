#include "sim/xenstore/watches.hpp"

#include <xenstore_lib.h>

#include <algorithm>
#include <utility>

namespace ringside::sim::xenstore {

namespace {

bool may_read(const Connection& client, const Tree& tree, std::string_view path) {
  const Node* node = tree.find(path);
  if (node != nullptr && (access_of(client, node->permissions) & XS_PERM_READ) != 0) return true;
  // Who can list the parent sees children come and go.
  const Node* parent = tree.find(parent_of(path));
  return parent != nullptr && (access_of(client, parent->permissions) & XS_PERM_READ) != 0;
}

/// How many names `path` has more than `ancestor`, which it is at or below.
size_t levels_below(std::string_view path, std::string_view ancestor) {
  const std::string_view rest = ancestor == "/" ? path : path.substr(ancestor.size());
  return rest == "/" ? 0 : static_cast<size_t>(std::count(rest.begin(), rest.end(), '/'));
}

}  // namespace

bool Watches::contains(const Connection& connection, std::string_view path,
                       std::string_view token) const {
  return std::any_of(watches_.begin(), watches_.end(), [&](const Watch& watch) {
    return watch.connection == &connection && watch.path == path && watch.token == token;
  });
}

void Watches::fire_first(const Connection& connection) {
  const auto last = std::find_if(watches_.rbegin(), watches_.rend(), [&](const Watch& watch) {
    return watch.connection == &connection;
  });
  if (last != watches_.rend()) send(*last, last->path);
}

bool Watches::remove(const Connection& connection, std::string_view path, std::string_view token) {
  return std::erase_if(watches_, [&](const Watch& watch) {
           return watch.connection == &connection && watch.path == path && watch.token == token;
         }) != 0;
}

void Watches::remove_all(const Connection& connection) {
  std::erase_if(watches_, [&](const Watch& watch) { return watch.connection == &connection; });
}

size_t Watches::count(const Connection& connection) const {
  return static_cast<size_t>(
      std::count_if(watches_.begin(), watches_.end(),
                    [&](const Watch& watch) { return watch.connection == &connection; }));
}

void Watches::fire(const Change& change, const Tree& before, const Tree& after) {
  for (const Watch& watch : watches_) {
    std::string_view path = change.path;
    if (!is_at_or_below(path, watch.path)) {
      const bool went_with_it = change.kind == Change::Kind::kRemove &&
                                is_at_or_below(watch.path, change.path) &&
                                before.find(watch.path) != nullptr;
      if (!went_with_it) continue;
      path = watch.path;
    }
    if (watch.depth && levels_below(path, watch.path) > *watch.depth) continue;
    if (may_read(*watch.connection, before, path) || may_read(*watch.connection, after, path)) {
      send(watch, path);
    }
  }
}

void Watches::fire_special(std::string_view event, DomainId domain,
                           const Permissions& permissions) {
  const std::string with_domain = std::string(event) + "/" + std::to_string(domain);
  for (const Watch& watch : watches_) {
    if (watch.path != event && watch.path != with_domain) continue;
    if ((access_of(*watch.connection, permissions) & XS_PERM_READ) == 0) continue;
    send(watch, watch.depth == 1u ? with_domain : watch.path);
  }
}

void Watches::send(const Watch& watch, std::string_view path) {
  Message event;
  event.header.type = XS_WATCH_EVENT;
  event.payload.append(path.substr(watch.base_length)).push_back('\0');
  event.payload.append(watch.token).push_back('\0');
  event.header.len = static_cast<uint32_t>(event.payload.size());
  // A client that has not yet read of it learns nothing from a second event alike.
  const auto alike = [&](const Message& waiting) {
    return waiting.header.type == XS_WATCH_EVENT && waiting.payload == event.payload;
  };
  const auto& outbox = watch.connection->outbox();
  if (std::none_of(outbox.begin(), outbox.end(), alike)) watch.connection->send(std::move(event));
}

}  // namespace ringside::sim::xenstore
