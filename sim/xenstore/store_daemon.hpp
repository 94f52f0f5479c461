#pragma once

#include <cstdint>
#include <memory>

#include "sim/xenstore/client.hpp"

namespace ringside::sim {

class Domain;
class Machine;

/// The store daemon of a simulated host, as toolstacks and back ends see it: the embedded one or
/// a process of its own.
class StoreDaemon {
 public:
  virtual ~StoreDaemon() = default;
  StoreDaemon(const StoreDaemon&) = delete;
  StoreDaemon& operator=(const StoreDaemon&) = delete;

  /// The daemon of the host on which the calling actor runs; outside the actors, the
  /// daemon made last. nullptr when there is none.
  static StoreDaemon* current();

  /// Takes a domain's store page and port (HVM_PARAM_STORE_*) into service, as the INTRODUCE
  /// message does. False when the domain prepared none.
  virtual bool introduce(Domain& domain) = 0;
  /// Ends the service of a domain: its connection, watches and transactions.
  virtual void release(uint16_t domid) = 0;
  /// A client in this process which acts as `domid`; dom0 may do everything.
  virtual std::unique_ptr<xenstore::Client> connect(uint16_t domid = 0) = 0;

  Machine& machine() { return machine_; }

 protected:
  explicit StoreDaemon(Machine& machine) : machine_(machine) {}
  /// Lets current() find it: the last thing a constructor does.
  void enlist();
  /// The first thing a destructor does.
  void delist();

  Machine& machine_;
};

}  // namespace ringside::sim
