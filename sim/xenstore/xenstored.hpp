#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "sim/xenstore/local_client.hpp"
#include "sim/xenstore/server.hpp"
#include "sim/xenstore/store_daemon.hpp"

namespace ringside::sim {

class Actor;

/// The store daemon of a simulated host: an actor in dom0 that serves the store rings of the
/// introduced domains, and in-process clients directly.
///
/// Must be destroyed before its machine; its destructor stops the actor.
class Xenstored final : public StoreDaemon {
 public:
  explicit Xenstored(Machine& machine, xenstore::Quotas quotas = {},
                     xenstore::Features features = {});
  ~Xenstored() override;

  bool introduce(Domain& domain) override;
  void release(uint16_t domid) override;
  std::unique_ptr<xenstore::Client> connect(uint16_t domid = 0) override;

  /// Gives up the connection of a domain as if it had met with an I/O error: with
  /// XENSTORE_ERROR_COMM, until the domain asks for a new one. False when it has none.
  bool reset_connection(uint16_t domid);

  /// Serves nobody before `until` of world time. Any actor.
  void pause(uint64_t until) { paused_until_.store(until); }

  xenstore::Server& server() { return server_; }

 private:
  void run();

  xenstore::Server server_;
  struct Rings;
  std::unique_ptr<Rings> rings_;
  std::atomic<Actor*> actor_ = nullptr;
  std::atomic<uint64_t> paused_until_ = 0;
};

}  // namespace ringside::sim
