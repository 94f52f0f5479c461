#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "sim/xenstore/local_client.hpp"
#include "sim/xenstore/server.hpp"

namespace ringside::sim {

class Actor;
class Domain;
class Machine;

/// The store daemon of a simulated host: an actor in dom0 that serves the store rings of the
/// introduced domains, and in-process clients directly.
///
/// Must be destroyed before its machine; its destructor stops the actor.
class Xenstored {
 public:
  explicit Xenstored(Machine& machine, xenstore::Quotas quotas = {},
                     xenstore::Features features = {});
  ~Xenstored();
  Xenstored(const Xenstored&) = delete;
  Xenstored& operator=(const Xenstored&) = delete;

  /// The daemon of the host on which the calling actor runs; outside the actors, the
  /// daemon made last. nullptr when there is none.
  static Xenstored* current();

  /// Takes a domain's store page and port (HVM_PARAM_STORE_*) into service, as the INTRODUCE
  /// message does. False when the domain prepared none.
  bool introduce(Domain& domain);
  /// Ends the service of a domain: its connection, watches and transactions.
  void release(uint16_t domid);

  /// Gives up the connection of a domain as if it had met with an I/O error: with
  /// XENSTORE_ERROR_COMM, until the domain asks for a new one. False when it has none.
  bool reset_connection(uint16_t domid);

  /// A client in this process which acts as `domid`; dom0 may do everything.
  std::unique_ptr<xenstore::LocalClient> connect(uint16_t domid = 0);

  /// Serves nobody before `until` of world time. Any actor.
  void pause(uint64_t until) { paused_until_.store(until); }

  xenstore::Server& server() { return server_; }
  Machine& machine() { return machine_; }

 private:
  void run();

  Machine& machine_;
  xenstore::Server server_;
  struct Rings;
  std::unique_ptr<Rings> rings_;
  std::atomic<Actor*> actor_ = nullptr;
  std::atomic<uint64_t> paused_until_ = 0;
};

}  // namespace ringside::sim
