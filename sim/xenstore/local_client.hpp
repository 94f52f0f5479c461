#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/xenstore/connection.hpp"

namespace ringside::sim::xenstore {

class Server;

struct WatchEvent {
  std::string path;
  std::string token;
};

/// A client of the store inside the server's process: each request is answered before the
/// call returns. Errors are errno values, 0 for success.
///
/// Safe to use from several threads as far as requests go.
class LocalClient {
 public:
  LocalClient(Server& server, DomainId domain);
  ~LocalClient();
  LocalClient(const LocalClient&) = delete;
  LocalClient& operator=(const LocalClient&) = delete;

  /// One request of any type; the payload is as on the wire. On error `answer` is unchanged.
  int request(xsd_sockmsg_type type, uint32_t transaction, std::string_view payload,
              std::string& answer);

  std::optional<std::string> read(std::string_view path, uint32_t transaction = 0);
  int write(std::string_view path, std::string_view value, uint32_t transaction = 0);
  int mkdir(std::string_view path, uint32_t transaction = 0);
  int remove(std::string_view path, uint32_t transaction = 0);
  /// The children's names; empty also for a missing node. Takes parts when it must.
  std::vector<std::string> directory(std::string_view path, uint32_t transaction = 0);
  /// The same as on the wire, each name with its NUL; 0 or an errno value.
  int list(std::string_view path, uint32_t transaction, std::string& names);
  bool exists(std::string_view path, uint32_t transaction = 0);
  /// `permissions` as in xenstore-chmod: "n0", "r5", ...; the first names the owner.
  int set_permissions(std::string_view path, const std::vector<std::string>& permissions,
                      uint32_t transaction = 0);

  /// 0 on error.
  uint32_t begin();
  /// EAGAIN: somebody else changed what the transaction used.
  int commit(uint32_t transaction);
  int abort(uint32_t transaction);

  int watch(std::string_view path, std::string_view token);
  int unwatch(std::string_view path, std::string_view token);
  std::optional<WatchEvent> next_event();
  /// Called, under the server's lock, when an event was queued: may only wake somebody.
  void on_event(std::function<void()> wake);

 private:
  Server& server_;
  std::shared_ptr<Connection> connection_;
};

}  // namespace ringside::sim::xenstore
