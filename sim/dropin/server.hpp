#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/machine/machine.hpp"

namespace ringside::sim::dropin {

/// Serves the drop-in libraries: programs in processes of their own that act for dom0 of a
/// threaded machine. An actor does all the work but the raising of events.
///
/// Clients are not trusted with the host: a packet that makes no sense ends its connection, and
/// nobody waits for a client that does not read. They are trusted with the guests, as dom0 is.
class Server {
 public:
  static constexpr size_t kMostClients = 256;

  /// Throws std::system_error when `path` can't be bound.
  Server(Machine& machine, std::string path);
  /// Ends what clients had bound and mapped.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  const std::string& path() const { return path_; }
  /// Connections at present.
  size_t clients() const { return count_.load(); }

 private:
  class Client;

  void run();
  void accept_client();
  std::optional<Port> store_port();

  Machine& machine_;
  std::string path_;
  int listener_ = -1;
  int wakeup_ = -1;
  std::vector<std::unique_ptr<Client>> clients_;
  std::atomic<size_t> count_ = 0;
  Port store_port_ = 0;  // offered to dom0 itself
  Actor* actor_ = nullptr;
};

}  // namespace ringside::sim::dropin
