#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/world/trace.hpp"
#include "sim/xenstore/connection.hpp"
#include "sim/xenstore/transactions.hpp"
#include "sim/xenstore/tree.hpp"
#include "sim/xenstore/watches.hpp"

namespace ringside::sim::xenstore {

/// Limits of unprivileged clients; the defaults, and what counts, are those of the C xenstored.
struct Quotas {
  size_t nodes = 1000;
  /// Less than this for a node's value, permissions (8 each), names of children and 24 more.
  size_t node_size = 2048;
  size_t permissions_per_node = 5;
  size_t watches = 128;      ///< refused once there are more
  size_t transactions = 10;  ///< refused once there are more
  /// Of a path, or of what follows /local/domain/<id>/. Binds dom0 too.
  size_t path_length = XENSTORE_REL_PATH_MAX;
  /// Replies a ring client may leave unread before its requests wait.
  size_t outstanding = 20;
};

/// What younger daemons than Xen 4.17's can do.
struct Features {
  /// WATCH takes a depth, and special watches tell the domain.
  bool watch_depth = false;
};

/// What the server asks of the machine around it.
class DomainControl {
 public:
  /// 0 or an errno value.
  virtual int introduce(DomainId domain, uint64_t gfn, uint32_t port) = 0;
  virtual void release(DomainId domain) = 0;
  /// A domain that shut down runs again, and can do so again.
  virtual void resume(DomainId domain) = 0;
  /// Called with the server's lock held: takes none that could come before it.
  virtual bool exists(DomainId domain) const = 0;

 protected:
  ~DomainControl() = default;
};

/// The store itself: takes requests of connections and answers as docs/misc/xenstore.txt and
/// xen/io/xs_wire.h say. Knows nothing of rings, sockets or actors.
///
/// Thread-safe: one lock, held while a request is served.
class Server {
 public:
  explicit Server(Quotas quotas = {}, Trace* trace = nullptr, Features features = {});

  void set_domain_control(DomainControl* control) { control_ = control; }
  const Quotas& quotas() const { return quotas_; }
  const Features& features() const { return features_; }

  std::shared_ptr<Connection> connect(DomainId domain);
  /// Ends its watches and transactions and drops what waits for it.
  void disconnect(Connection& connection);

  /// Serves one request; the reply, then any watch events, are in the outboxes afterwards.
  void handle(Connection& connection, const Message& request);
  /// Moves the next waiting message out of the outbox.
  std::optional<Message> take(Connection& connection);
  /// Serves the request and takes its reply, leaving watch events that were queued before.
  Message exchange(Connection& connection, const Message& request);
  /// The next watch event for a connection whose replies are taken by exchange().
  std::optional<Message> take_event(Connection& connection);
  size_t pending(Connection& connection);
  void on_output(Connection& connection, std::function<void()> wake);

  /// Also what the INTRODUCE and RELEASE messages do; fire the special watches.
  void mark_introduced(DomainId domain);
  void mark_released(DomainId domain);
  /// Fires @releaseDomain: the domain crashed or shut down.
  void tell_release(DomainId domain);
  bool is_introduced(DomainId domain);

  /// Nodes owned by the domain, for leak checks.
  size_t nodes_owned_by(DomainId domain);
  size_t watch_count(const Connection& connection);

 private:
  friend class Request;

  void handle_domain_request(Connection& connection, const Message& request);
  int control_domain(Connection& connection, const Message& request);
  int introduce(const Message& request);
  void remove_owned_by(DomainId domain);
  void reply(Connection& connection, const Message& request, int error, const std::string& answer);
  void record(const Change& change);

  std::mutex mutex_;
  Quotas quotas_;
  Features features_;
  Trace* trace_;
  DomainControl* control_ = nullptr;
  Tree tree_;
  Watches watches_;
  std::map<std::string, Permissions, std::less<>> special_;
  std::vector<std::weak_ptr<Connection>> connections_;
  std::set<DomainId> introduced_;
  std::map<DomainId, DomainId> targets_;
};

}  // namespace ringside::sim::xenstore
