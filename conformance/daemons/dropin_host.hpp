#pragma once

#include <memory>
#include <string>
#include <vector>

#include "conformance/daemons/child_process.hpp"
#include "conformance/daemons/store_service.hpp"
#include "conformance/rig/host.hpp"
#include "sim/dropin/server.hpp"

namespace ringside::conformance {

/// Where Debian's xen-utils has the daemon that most hosts run.
inline constexpr const char* kXenstored = "/usr/lib/xen-4.17/bin/xenstored";

/// A simulated host, threaded and in real time, beside which unmodified Xen programs run in
/// processes of their own, through the drop-in libraries.
class DropinHost {
 public:
  /// `xenstored` is the program of a store daemon; without one the embedded store serves. Throws
  /// NotInstalled when it is not there, RigError when it does not start.
  explicit DropinHost(const std::string& xenstored = {});
  DropinHost(const DropinHost&) = delete;
  DropinHost& operator=(const DropinHost&) = delete;

  Host& host() { return *host_; }
  sim::dropin::Server& server() { return *server_; }
  /// For files of programs on this host.
  const std::string& folder() const { return folder_.path(); }
  /// What a program's environment needs: where the libraries, the host and the store are.
  std::vector<std::string> settings() const;
  /// A program on this host; its output goes to `name`.log in the folder.
  std::unique_ptr<ChildProcess> start(const std::string& name,
                                      const std::vector<std::string>& command);
  /// nullptr with the embedded store.
  ChildProcess* xenstored() { return xenstored_.get(); }

  /// Ends the store daemon and all connections, and then as Host::audit().
  std::vector<std::string> audit();

 private:
  std::unique_ptr<sim::StoreDaemon> start_xenstored(const std::string& program,
                                                    sim::Machine& machine);
  std::string socket() const { return folder_.path() + "/socket"; }

  TemporaryFolder folder_;
  // Each uses those before it.
  std::unique_ptr<Host> host_;
  std::unique_ptr<sim::dropin::Server> server_;
  std::unique_ptr<StoreService> service_;  // of the embedded store
  std::unique_ptr<ChildProcess> xenstored_;
};

/// Where the drop-in libraries lie: beside this program.
std::string dropin_folder();

}  // namespace ringside::conformance
