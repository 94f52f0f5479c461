#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "sim/xenstore/server.hpp"

namespace ringside::sim::xenstore {

/// Serves the store on a Unix socket in the daemon's own wire format: programs that use the
/// real libxenstore find it through XENSTORED_PATH. Each client is a dom0 client.
///
/// Driven by one thread.
class SocketServer {
 public:
  /// Throws std::system_error when `path` can't be bound. Replaces a stale socket there.
  SocketServer(Server& server, std::string path);
  ~SocketServer();
  SocketServer(const SocketServer&) = delete;
  SocketServer& operator=(const SocketServer&) = delete;

  /// Waits up to `timeout_ms` (-1: for ever) for work and does what there is.
  void serve_once(int timeout_ms);
  /// Lets a serve_once() that waits return. Any thread.
  void wake();

  const std::string& path() const { return path_; }
  size_t clients() const { return clients_.size(); }

 private:
  struct Client;

  void accept_clients();
  bool receive(Client& client);
  bool transmit(Client& client);

  Server& server_;
  std::string path_;
  int listener_ = -1;
  int wakeup_ = -1;
  std::vector<std::unique_ptr<Client>> clients_;
  std::atomic<std::thread::id> serving_;  ///< the thread that is handling requests, if any
};

}  // namespace ringside::sim::xenstore
