#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/xenstore/access.hpp"
#include "sim/xenstore/transactions.hpp"

namespace ringside::sim::xenstore {

inline constexpr std::string_view kIntroduceDomain = "@introduceDomain";
inline constexpr std::string_view kReleaseDomain = "@releaseDomain";

/// All watches of all connections, in the order they were set.
class Watches {
 public:
  struct Watch {
    Connection* connection;
    std::string path;  ///< absolute or special
    std::string token;
    size_t base_length = 0;         ///< left off in events: the path was given relative
    std::optional<unsigned> depth;  ///< levels below `path` that count; all without one
  };

  bool contains(const Connection& connection, std::string_view path, std::string_view token) const;
  /// Precondition: the connection has no watch of the same path and token.
  void add(Watch watch) { watches_.push_back(std::move(watch)); }
  /// Sends the event with which the connection's newest watch begins.
  void fire_first(const Connection& connection);
  bool remove(const Connection& connection, std::string_view path, std::string_view token);
  void remove_all(const Connection& connection);
  size_t count(const Connection& connection) const;

  /// Tells of a change to all who watch it and may know: the node or its parent is readable
  /// before or after.
  void fire(const Change& change, const Tree& before, const Tree& after);
  /// Tells of @introduceDomain or @releaseDomain to those whom `permissions` let read it.
  void fire_special(std::string_view event, DomainId domain, const Permissions& permissions);

 private:
  static void send(const Watch& watch, std::string_view path);

  std::vector<Watch> watches_;
};

}  // namespace ringside::sim::xenstore
