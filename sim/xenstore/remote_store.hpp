#pragma once

#include <string>

#include "sim/xenstore/store_daemon.hpp"

namespace ringside::sim {

/// A store daemon in a process of its own, for a threaded world: it maps the domains' rings itself
/// (sim/dropin/) and is told of domains through its socket.
class RemoteStore final : public StoreDaemon {
 public:
  /// Throws std::system_error when nobody listens at `socket`.
  RemoteStore(Machine& machine, std::string socket);
  ~RemoteStore() override;

  bool introduce(Domain& domain) override;
  void release(uint16_t domid) override;
  /// Throws std::invalid_argument for another domain than dom0: it has a ring for that.
  std::unique_ptr<xenstore::Client> connect(uint16_t domid = 0) override;

 private:
  int tell(xsd_sockmsg_type type, std::initializer_list<uint64_t> numbers);

  std::string socket_;
  std::unique_ptr<xenstore::Client> client_;
};

}  // namespace ringside::sim
