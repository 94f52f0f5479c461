#pragma once

#include <cerrno>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/xenstore/server.hpp"

namespace ringside::sim::xenstore {

/// The NUL-terminated strings at the start of a payload. Bytes after the last NUL are no
/// string and are left out.
std::vector<std::string_view> strings_of(std::string_view payload);
std::optional<uint64_t> number_of(std::string_view text);

/// One request while it is served, under the server's lock.
class Request {
 public:
  Request(Server& server, Connection& client, const Message& message)
      : server_(server), client_(client), message_(message) {}

  /// 0 or an errno value.
  int serve();
  const std::string& answer() const { return answer_; }
  /// What follows the reply on the wire: the watch events of what was changed.
  void tell_watchers();

 private:
  struct Told {
    Tree before;
    Change change;
    Tree after;
  };

  // Nodes: request_nodes.cpp
  int directory();
  int directory_part();
  int read();
  int write();
  int mkdir();
  int remove();
  int get_permissions();
  int set_permissions();
  int set_special_permissions(std::string_view event, const Permissions& permissions);

  // Watches, transactions and domains: request.cpp
  int watch();
  int unwatch();
  int reset_watches();
  int transaction_start();
  int transaction_end();
  int get_domain_path();
  int is_domain_introduced();
  int set_target();

  // request_control.cpp
  int control();
  int control_quota(const std::vector<std::string_view>& words);

  int find_transaction();
  int lone_path(std::string& path) const;
  int resolve(std::string_view given, std::string& path) const;
  std::optional<DomainId> lone_domain() const;
  int check(std::string_view path, unsigned mask);
  int create(std::string path, std::string value);
  void make(Change change);
  void tell_of_all(const std::vector<Change>& changes, const Tree& before);
  void touch_for_creation(std::string_view path);
  void touch_below(const std::string& path, const Node& node);
  bool exceeds_node_quota(const Tree& next) const;
  bool exceeds_node_size(size_t permissions, size_t value, size_t names) const;
  bool new_nodes_exceed_size(const Tree& next, std::string_view path) const;
  bool unlimited() const { return client_.privileged(); }

  Tree& tree() { return transaction_ == nullptr ? server_.tree_ : transaction_->tree(); }
  void touch(std::string_view path) {
    if (transaction_ != nullptr) transaction_->touch(path);
  }

  Server& server_;
  Connection& client_;
  const Message& message_;
  Transaction* transaction_ = nullptr;
  std::string answer_;
  std::vector<Told> told_;
  bool new_watch_ = false;
};

}  // namespace ringside::sim::xenstore
