#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/xenstore/access.hpp"
#include "sim/xenstore/transactions.hpp"

namespace ringside::sim::xenstore {

inline constexpr std::string_view kIntroduceDomain = "@introduceDomain";
inline constexpr std::string_view kReleaseDomain = "@releaseDomain";

/// All watches of all connections, in the order they were set.
class Watches {
 public:
  /// `path` is absolute or special; `base_length` characters of it are left off in events,
  /// for paths that were given relative. False when the pair is there already.
  bool add(Connection& connection, std::string path, std::string token, size_t base_length);
  /// Sends the event with which the connection's newest watch begins.
  void fire_first(const Connection& connection);
  bool remove(const Connection& connection, std::string_view path, std::string_view token);
  void remove_all(const Connection& connection);
  size_t count(const Connection& connection) const;

  /// Tells of a change to all who watch it and may know: the node or its parent is readable
  /// before or after.
  void fire(const Change& change, const Tree& before, const Tree& after);
  /// Tells of @introduceDomain or @releaseDomain to those whom `permissions` let read it.
  void fire_special(std::string_view event, const Permissions& permissions);

 private:
  struct Watch {
    Connection* connection;
    std::string path;
    std::string token;
    size_t base_length;
  };

  static void send(const Watch& watch, std::string_view path);

  std::vector<Watch> watches_;
};

}  // namespace ringside::sim::xenstore
