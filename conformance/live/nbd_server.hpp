#pragma once

#include <list>
#include <string>
#include <thread>

#include "conformance/live/nbd_connection.hpp"

namespace ringside::conformance {

/// Serves one disk to NBD clients over a Unix socket, in a folder of its own that goes with it.
/// Fixed newstyle handshake, simple replies.
class NbdServer {
 public:
  /// `disk` outlives it. Throws Problem.
  explicit NbdServer(NbdExport& disk);
  /// Cuts all connections; what is under way is done first.
  ~NbdServer();
  NbdServer(const NbdServer&) = delete;
  NbdServer& operator=(const NbdServer&) = delete;

  std::string socket_path() const { return folder_ + "/socket"; }
  std::string uri() const { return "nbd+unix:///?socket=" + socket_path(); }

 private:
  void accept_all();

  NbdExport& disk_;
  std::string folder_;
  int listener_ = -1;
  std::list<NbdConnection> connections_;
  std::thread thread_;
};

}  // namespace ringside::conformance
