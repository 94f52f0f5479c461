#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "conformance/daemons/temporary_folder.hpp"
#include "sim/xenstore/socket_server.hpp"

namespace ringside::conformance {

/// The embedded store on a Unix socket in a folder of its own, served by a thread of its own.
class StoreService {
 public:
  explicit StoreService(sim::xenstore::Server& server);
  ~StoreService();
  StoreService(const StoreService&) = delete;
  StoreService& operator=(const StoreService&) = delete;

  const std::string& folder() const { return folder_.path(); }
  /// What XENSTORED_PATH has to name.
  const std::string& socket() const { return socket_.path(); }

 private:
  TemporaryFolder folder_;
  sim::xenstore::SocketServer socket_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace ringside::conformance
